SELECT pg_try_advisory_xact_lock(1);
SELECT set_config('search_path', 'x', false);
SELECT 1 WHERE set_config('a.b', 'x', false) IS NOT NULL;
WITH x AS (SELECT set_config('a.b', 'x', false)) SELECT 1 FROM x;
ALTER SYSTEM SET work_mem = '1MB';
SELECT pg_reload_conf();
CHECKPOINT;
LOAD 'auto_explain';
SELECT pg_stat_reset();
SELECT pg_stat_reset_shared('bgwriter');
SELECT pg_create_physical_replication_slot('x');
SELECT pg_create_logical_replication_slot('x', 'y')