nonsense;
SELECT 'unended;
CREATE TABLE n (a int GENERATED ALWAYS AS (1) VIRTUAL);
SELECT public.abs(-1);
SELECT public.nextval('sq');
SELECT db.pg_catalog.nextval('sq');
SELECT pg_catalog.no_such_function();
SELECT information_schema._pg_truetypid(NULL, NULL);
SELECT pg_temp_3.f()