"""Blob pools: the origins, the proxies before them, what is asked of them."""
