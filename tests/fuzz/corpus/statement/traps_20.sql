SELECT * FROM t TABLESAMPLE system (10) REPEATABLE (5);
SELECT * FROM pg_class, pg_stats;
SELECT age(xmin) FROM t;
SELECT x::mytype FROM t;
SELECT (v).field FROM t;
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r;
SELECT a.*, (SELECT max(id) FROM t) FROM t a LEFT JOIN LATERAL (SELECT * FROM t b WHERE b.id = a.id) c ON true CROSS JOIN generate_series(1, 3);
SELECT extract(year FROM now()), trim(both 'x' FROM 'xax'), overlay('a' PLACING 'b' FROM 1), 'a' SIMILAR TO 'b', position('a' IN 'b'), now() AT TIME ZONE 'UTC';
SELECT JSON_OBJECT('a': 1);
SELECT * FROM JSON_TABLE(x, '$' COLUMNS (a int PATH '$.a')) AS j, t;
SELECT JSON_OBJECT('a': nextval('sq'));
SELECT JSON_OBJECT('a': "nextval"('sq'))