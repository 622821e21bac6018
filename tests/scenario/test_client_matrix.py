#!/usr/bin/python3
# long only: the first run fetches and compiles for minutes
"""The client libraries of other languages, as their registries have them, with their default settings.

They are fetched in pinned versions and built into build/clients; see lib/client_builds.py, and lib/story.py
for what each does."""
import sys

from lib import *
from lib.client_builds import built
from lib.process import run
from lib.story import CLIENTS, Story


class Go(Story):
    def program(self, name, resp):
        self.tells(built("go") / "bin" / name, resp=resp)

    def test_go_redis_with_resp2(self):
        self.program("go_redis", 2)

    def test_go_redis_with_resp3(self):
        self.program("go_redis", 3)

    def test_rueidis_with_resp2(self):
        self.program("rueidis", 2)

    def test_rueidis_with_resp3(self):
        self.program("rueidis", 3)


class Rust(Story):
    def redis_rs(self, resp):
        self.tells(built("rust") / "target/debug/redis_rs", resp=resp, without=["tls"])  # a heavy feature

    def test_redis_rs_with_resp2(self):
        self.redis_rs(2)

    def test_redis_rs_with_resp3(self):
        self.redis_rs(3)


class Java(Story):
    def program(self, name, resp):
        folder = built("java")
        self.tells("java", "-cp", f"{folder / 'classes'}:{folder / 'jars'}/*", name, resp=resp)

    def test_jedis_with_resp2(self):
        self.program("JedisStory", 2)

    def test_jedis_with_resp3(self):
        self.program("JedisStory", 3)

    def test_lettuce_with_resp2(self):
        self.program("LettuceStory", 2)

    def test_lettuce_with_resp3(self):
        self.program("LettuceStory", 3)


class Python(Story):
    def program(self, name, resp, *packages, without=()):
        path = ":".join(str(built("python") / package) for package in packages)
        self.tells(sys.executable, CLIENTS / "python" / name, resp=resp, without=without, env={"PYTHONPATH": path})

    def test_what_is_tested_is_the_current_library(self):
        """...and not the one of Debian, which other tests use."""
        path = f"{built('python') / 'redis'}:{built('python') / 'hiredis'}"
        text = "import redis, hiredis; from redis.connection import DefaultParser; " \
               "print(redis.__version__.split('.')[0], hiredis.__version__.split('.')[0], DefaultParser.__name__)"
        self.assertEqual(run([sys.executable, "-c", text], env={"PYTHONPATH": path})[1], "8 3 _HiredisParser\n")

    def test_redis_py_with_resp2(self):
        self.program("redis_py.py", 2, "redis")

    def test_redis_py_with_resp3(self):
        self.program("redis_py.py", 3, "redis")

    def test_redis_py_and_hiredis_with_resp2(self):
        self.program("redis_py.py", 2, "redis", "hiredis")

    def test_redis_py_and_hiredis_with_resp3(self):
        self.program("redis_py.py", 3, "redis", "hiredis")

    def test_glide_with_resp2(self):
        self.program("glide.py", 2, "glide", without=["publish"])  # it subscribes with RESP3 only

    def test_glide_with_resp3(self):
        self.program("glide.py", 3, "glide")


if __name__ == "__main__":
    main()
