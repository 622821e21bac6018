SHOW in_hot_standby;
SHOW transaction_read_only;
SELECT current_setting('transaction_read_only');
SELECT current_setting('In_Hot_Standby');
SELECT current_setting($1);
SELECT ('in_hot_standby'::text).current_setting;
SELECT setseed(0.5);
SELECT setseed(0.5), random();
SELECT (0.5).setseed;
SET seed TO 0.5;
SELECT set_config('seed', '0.5', false);
SELECT 1 WHERE EXISTS (SELECT nextval('sq'))