CALL p(1);
CALL p(set_config('a.b', 'c', false));
DO $$ BEGIN INSERT INTO t VALUES (1); END $$;
LISTEN c;
NOTIFY c, 'x';
SELECT pg_notify('c', 'x');
SELECT * FROM pg_listening_channels();
LOCK TABLE t IN ROW EXCLUSIVE MODE;
LOCK t;
SELECT txid_current();
SELECT pg_current_xact_id();
SELECT txid_current_if_assigned()