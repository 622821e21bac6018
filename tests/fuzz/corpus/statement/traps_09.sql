SELECT pg_logical_emit_message(false, 'a', 'b');
SELECT * FROM pg_temp.tt;
SELECT pg_temp.f();
SELECT pg_advisory_lock(1);
SELECT pg_advisory_lock_shared(1, 2);
SELECT pg_try_advisory_lock(1);
SELECT pg_try_advisory_lock_shared(1);
SELECT pg_advisory_unlock(1);
SELECT pg_advisory_unlock_all();
SELECT (1::bigint).pg_advisory_lock;
SELECT (id).pg_try_advisory_lock FROM t;
SELECT pg_advisory_xact_lock(1)