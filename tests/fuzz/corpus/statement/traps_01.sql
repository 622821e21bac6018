SELECT * FROM t LIMIT nextval('sq');
SELECT * FROM t OFFSET (SELECT nextval('sq'));
SELECT count(*) FILTER (WHERE nextval('sq') > 0) FROM t;
SELECT sum(id) OVER (PARTITION BY nextval('sq')) FROM t;
SELECT sum(id) OVER w FROM t WINDOW w AS (ORDER BY nextval('sq'));
SELECT string_agg(v, ',' ORDER BY nextval('sq')) FROM t;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY nextval('sq')) FROM t;
SELECT v FROM t GROUP BY ROLLUP (v, nextval('sq'));
SELECT 1 FROM t GROUP BY v HAVING nextval('sq') > 0;
SELECT a[nextval('sq')] FROM t;
SELECT CASE WHEN true THEN nextval('sq') END;
SELECT COALESCE(NULL, nextval('sq'))