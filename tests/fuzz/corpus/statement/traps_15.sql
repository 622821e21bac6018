SELECT query_to_xml('SELECT pg_advisory_lock(1)', true, false, '');
SELECT * FROM ts_stat('SELECT set_config(''a.b'', ''c'', false)::tsvector');
SELECT ts_rewrite('a'::tsquery, 'SELECT x, y FROM t');
SELECT last_value FROM sq;
SELECT sq.log_cnt FROM sq;
SELECT * FROM pg_sequences;
SELECT pg_sequence_last_value('sq');
SELECT pg_replication_origin_session_setup('x');
SELECT pg_backup_start('x');
SELECT pg_read_file('x');
SELECT pg_ls_dir('.');
SELECT lo_export(1, '/tmp/x')