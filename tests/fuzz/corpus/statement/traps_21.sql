SELECT JSON_OBJECT('a': pg_catalog.nextval ('sq'));
SELECT JSON_OBJECT('a': ('sq'::regclass).nextval);
SELECT JSON_OBJECT('a': set_config('a.b', 'c', false));
SELECT JSON_OBJECT('a': 1) FROM t FOR UPDATE;
SELECT JSON_OBJECT('a': 1) INTO n;
WITH x AS (DELETE FROM t) SELECT JSON_OBJECT('a': 1);
SELECT JSON_OBJECT('a': f(1));
SELECT JSON_OBJECT('a': 1) FROM pg_locks;
SELECT JSON_OBJECT('a': 1) FROM pg_temp.x;
SELECT JSON_OBJECT('a': U&"n\0065xtval"('sq'));
MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING f(1);
SET x = 1 1