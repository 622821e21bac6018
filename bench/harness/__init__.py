"""The harness behind bench/run: starts servers and proxies, loads them in turn, measures, tells."""
