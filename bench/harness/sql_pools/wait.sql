/* route=replica */ SELECT pg_sleep(0.01);
