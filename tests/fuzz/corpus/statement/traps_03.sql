SELECT * FROM t TABLESAMPLE bernoulli (nextval('sq'));
SELECT * FROM t a JOIN t b ON nextval('sq') > 0;
SELECT * FROM xmltable('/a' PASSING nextval('sq')::text::xml COLUMNS x int);
SELECT f_write();
SELECT s.f_write(1);
SELECT * FROM t FOR UPDATE;
SELECT * FROM t FOR NO KEY UPDATE;
SELECT * FROM t FOR SHARE OF t SKIP LOCKED;
SELECT * FROM t FOR KEY SHARE NOWAIT;
SELECT * INTO n FROM t;
SELECT 1 INTO TEMP n;
SELECT 1 INTO pg_temp.n