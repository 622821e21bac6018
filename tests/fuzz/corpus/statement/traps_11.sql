SELECT pg_drop_replication_slot('x');
COPY t TO '/tmp/x';
COPY t TO PROGRAM 'cat';
COPY (SELECT 1) TO '/tmp/x';
SELECT dblink_exec('host=x', 'DELETE FROM t');
SELECT * FROM dblink('host=x', 'SELECT 1') AS x(a int);
SELECT dblink_connect('a', 'host=x');
SELECT f_swallows_the_error();
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE;
DEALLOCATE p;
DEALLOCATE ALL