SELECT GREATEST(1, nextval('sq'));
SELECT ARRAY[nextval('sq')];
SELECT ARRAY(SELECT nextval('sq'));
SELECT ROW(nextval('sq'));
SELECT nextval('sq') IS NULL;
SELECT (nextval('sq') > 0) IS TRUE;
SELECT nextval('sq')::text COLLATE "C";
SELECT xmlelement(name x, nextval('sq'));
SELECT make_interval(days => nextval('sq')::int);
VALUES (nextval('sq'));
SELECT 1 UNION ALL (SELECT 2 UNION SELECT nextval('sq'));
SELECT DISTINCT ON (nextval('sq')) v FROM t