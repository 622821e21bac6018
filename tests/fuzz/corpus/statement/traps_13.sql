SELECT * FROM pg_catalog.pg_stat_user_tables;
SELECT * FROM pg_statio_user_tables;
SELECT * FROM pg_locks;
SELECT * FROM PG_LOCKS;
TABLE pg_settings;
SELECT * FROM pg_cursors, pg_prepared_statements;
SELECT pg_stat_get_numscans(1);
SELECT inet_server_addr();
SELECT inet_client_port();
SELECT pg_is_in_recovery();
SELECT pg_last_wal_replay_lsn();
SELECT version()