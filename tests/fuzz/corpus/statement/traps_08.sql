INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET id = nextval('sq');
UPDATE t SET (id, v) = (SELECT nextval('sq'), 'x');
DELETE FROM t USING t AS s RETURNING set_config('a.b', 'c', false);
SELECT pg_current_wal_lsn();
SELECT pg_current_wal_flush_lsn();
SELECT pg_switch_wal();
SELECT pg_create_restore_point('x');
SELECT currval('sq');
SELECT lastval();
SELECT lo_create(0);
SELECT lo_creat(-1);
SELECT lo_unlink(5)