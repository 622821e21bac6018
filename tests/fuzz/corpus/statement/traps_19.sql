SELECT now(), current_date, current_user, localtimestamp;
SELECT random(), gen_random_uuid(), clock_timestamp();
SELECT abs(-1), lower('A'), coalesce(NULL, 1), pg_catalog.upper('a');
SELECT 'pg_class'::regclass, '1'::int, date '2020-01-01', int4('5');
SELECT * FROM pg_catalog.pg_class;
SELECT * FROM information_schema.columns;
SELECT current_setting('app.tenant');
SELECT pg_sleep(1);
SELECT * FROM t WHERE id = $1;
SELECT "nextval" FROM t;
SELECT t.version, t.age FROM t;
SELECT last_value(v) OVER (ORDER BY id) FROM t