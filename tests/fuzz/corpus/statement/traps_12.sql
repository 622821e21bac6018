DISCARD ALL;
UNLISTEN *;
PREPARE p AS DELETE FROM t;
EXECUTE p;
EXECUTE p(nextval('sq'));
SELECT pg_export_snapshot();
SET TRANSACTION SNAPSHOT '00000003-0000001B-1';
SELECT pg_backend_pid();
SELECT pg_cancel_backend(1);
SELECT (1).pg_cancel_backend;
SELECT pg_terminate_backend(1);
SELECT * FROM pg_stat_activity