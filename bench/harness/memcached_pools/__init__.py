"""memcached pools: the servers, the proxies before them, what is asked of them."""
