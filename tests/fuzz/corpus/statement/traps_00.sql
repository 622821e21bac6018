SELECT nextval('sq');
SELECT setval('sq', 1);
SELECT pg_catalog.nextval('sq'::regclass);
SELECT "nextval"('sq');
SELECT NextVal('sq');
SELECT U&"n\0065xtval"('sq');
SELECT ('sq'::regclass).nextval;
SELECT (c).nextval FROM (SELECT 'sq'::regclass) AS x(c);
SELECT * FROM nextval('sq');
SELECT * FROM ROWS FROM (nextval('sq'), generate_series(1, 2));
SELECT * FROM t WHERE id = nextval('sq');
SELECT * FROM t ORDER BY nextval('sq')