#!/usr/bin/python3
"""Health: what happens to a server is seen, judged, told with its reason, and forgotten when it is over."""
import json
import os
import tempfile

from lib import *

FAST = {"probe_interval": "50ms", "probe_timeout": "150ms", "rise": 2, "fall": 3, "breaker_open": "50ms",
        "backoff_max": "200ms"}


class HealthCase(Case):
    shards = 2

    def serve(self, redis=None, **options):
        self.redis = redis or [RedisServer(self) for _ in range(self.shards)]
        self.sheaf = Sheaf(self, pool(self.redis, **{**FAST, **options}))
        return self.sheaf

    def health(self, shard=0, name="main"):
        pools = {p["name"]: p for p in self.sheaf.status()["pools"]}
        return pools[name]["shards"][shard]["health"]

    def await_state(self, state, shard=0, reason=None, **more):
        def is_so():
            health = self.health(shard, **more)
            return health["state"] == state and (reason is None or health["reason"] == reason)
        try:
            wait_until(is_so, what=f"shard {shard} to be {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.health(shard, **more)}\n{self.sheaf.log}") from None

    def await_probes(self):
        """All shards have been probed, so that what comes next is news."""
        for shard in range(len(self.redis)):
            wait_until(lambda s=shard: (self.health(s)["probe"] or {}).get("ok"), what="the first probes")


class Verdicts(HealthCase):
    def test_all_is_well_from_the_start(self):
        self.serve()
        self.await_probes()
        for shard in range(2):
            health = self.health(shard)
            self.assertEqual((health["state"], health["reason"], health["drained"]), ("up", "", False))
            self.assertEqual(health["weight_percent"], 100)
            self.assertEqual(health["probe"]["flavor"], "redis")
            self.assertRegex(health["probe"]["version"], r"^\d+\.\d+\.\d+$")
            self.assertEqual(health["probe"]["role"], "primary")
            self.assertGreater(health["probe"]["used_memory_bytes"], 100_000)

    def test_a_killed_server_is_down_as_refusing_and_up_again_when_restarted(self):
        self.serve()
        self.await_probes()
        self.redis[0].kill9()
        self.await_state("down", reason="connect_refused")
        health = self.health()
        self.assertIn("refused", health["text"])
        self.assertFalse(health["up"])
        self.assertEqual(self.health(1)["state"], "up")
        self.redis[0].restart()
        self.await_state("up", reason="")
        self.assertGreater(self.health()["since"], 1_600_000_000)

    def test_a_server_that_is_up_again_is_used_at_once_however_long_its_back_off_is(self):
        self.serve(backoff_min="60s", backoff_max="60s")
        self.await_probes()
        [key], _ = keys_on_shards(2)
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", key, "v"), "OK")
            self.redis[0].kill9()
            wait_until(lambda: "refused" in str(session.ask("GET", key)), what="the server to be found dead")
            self.await_state("down")
            self.redis[0].restart()
            self.await_state("up")
            wait_until(lambda: session.ask("GET", key) is None, what="the server that came back to be asked")

    def test_a_server_that_stands_still_is_down_as_not_answering(self):
        self.serve()
        self.await_probes()
        self.redis[1].stop()
        self.await_state("down", 1, "response_timeout")
        self.assertEqual(self.health(0)["state"], "up")
        self.redis[1].cont()
        self.await_state("up", 1)

    def test_a_change_is_logged_once_with_what_and_why(self):
        self.serve()
        self.await_probes()
        self.redis[0].kill9()
        self.await_state("down")
        self.redis[0].restart()
        self.await_state("up")
        lines = [x for x in self.sheaf.log.splitlines() if "endpoint changed" in x]
        downs = [x for x in lines if " to=down" in x]
        self.assertEqual(len(downs), 1, lines)
        for word in (f"endpoint={self.redis[0].address}", "pool=main", "shard=0", "from=up", "refused"):
            self.assertIn(word, downs[0])
        self.assertEqual(sum(" to=up" in x for x in lines), 1, lines)

    def test_one_bad_probe_is_not_enough_and_fall_is_counted(self):
        redis = [RedisServer(self) for _ in range(2)]
        wires = [Faults(self, ("127.0.0.1", r.port)) for r in redis]
        self.serve(wires, fall=1000, breaker_failures=1000)
        self.await_probes()
        wires[0].black_hole = True
        wait_until(lambda: self.health()["probe"]["reason"] == "response_timeout", what="a bad probe")
        self.assertEqual(self.health()["state"], "up")
        wires[0].heal()
        wait_until(lambda: self.health()["probe"]["ok"], what="a good probe")
        self.assertNotIn("endpoint changed", self.sheaf.log)

    def test_rise_is_counted_after_a_restart(self):
        self.serve(rise=1000, fall=1)
        self.await_probes()
        self.redis[0].kill9()
        self.await_state("down")
        self.redis[0].restart()
        wait_until(lambda: self.health()["probe"]["ok"], what="a good probe")
        self.assertEqual(self.health()["state"], "down")

    def test_a_wrong_password_is_told_as_such(self):
        redis = [RedisServer(self, {"requirepass": "right"}) for _ in range(2)]
        self.serve([f"redis://:right@{redis[0].address}", f"redis://:wrong@{redis[1].address}"])
        self.await_state("down", 1, "login_refused")
        self.assertIn("WRONGPASS", self.health(1)["probe"]["text"])
        self.assertNotIn("wrong@", json.dumps(self.sheaf.status()))
        self.assertEqual(self.health(0)["state"], "up")

    def test_a_replica_is_up_and_noted_as_read_only(self):
        primary = RedisServer(self)
        replica = RedisServer(self, {"replicaof": f"127.0.0.1 {primary.port}"})
        self.serve([primary, replica], stamp="off")
        self.await_state("up", 1, "readonly")
        self.assertEqual(self.health(1)["probe"]["role"], "replica")

    def test_garbage_is_told_as_such(self):
        redis = RedisServer(self)
        wire = Faults(self, ("127.0.0.1", redis.port))
        self.serve([wire, redis.url + "/1"], stamp="off", fall=1)
        wait_until(lambda: (self.health()["probe"] or {}).get("ok"))
        wire.garbage = b"what is this?\r\n"
        self.await_state("down", reason="protocol_error")
        self.await_state("up")

    def test_a_name_that_cannot_be_resolved_is_told_as_such(self):
        self.serve([RedisServer(self), f"redis://no.such.name.invalid:{free_port()}"], probe_timeout="1s")
        self.await_state("down", 1, "resolve_failed")

    def test_a_unix_socket_is_probed_too(self):
        redis = [RedisServer(self) for _ in range(2)]
        self.serve([f"redis+unix://{r.socket}" for r in redis])
        self.redis = redis
        self.await_probes()
        redis[0].kill9()
        self.await_state("down")
        redis[0].restart()
        self.await_state("up")

    def test_without_probes_traffic_is_judged(self):
        self.serve(probe="no", breaker_failures=2, timeout="100ms")
        key = keys_on_shards(2)[0][0]
        self.assertEqual(self.sheaf.ask("SET", key, "1"), "OK")
        self.assertIsNone(self.health()["probe"])
        self.redis[0].kill9()
        wait_until(lambda: isinstance(self.sheaf.ask("GET", key), Failure)
                   and self.health()["state"] != "up", what="traffic to tell")
        self.redis[0].restart()
        wait_until(lambda: not isinstance(self.sheaf.ask("GET", key), Failure)
                   and self.health()["state"] == "up", what="traffic to tell that it is over")

    def test_what_servers_say_of_themselves_in_their_replies_is_news(self):
        self.serve(probe="no", breaker_failures=2)
        key = keys_on_shards(2)[0][0]
        with self.sheaf.connect() as session:
            def is_told(words, code, state, reason):
                def asked():
                    self.assertEqual(session.ask(*words).code, code)
                    return (self.health()["state"], self.health()["reason"]) == (state, reason)
                return asked
            self.assertEqual(session.ask("SET", key, "1"), "OK")
            self.redis[0].ask("CONFIG", "SET", "maxmemory", "1")
            wait_until(is_told(("SET", key, "2"), "OOM", "up", "oom"), what="OOM to be told")
            self.redis[0].ask("CONFIG", "SET", "maxmemory", "0")
            wait_until(lambda: session.ask("GET", key) == b"1" and self.health()["reason"] == "", what="its end")
            self.redis[0].ask("CONFIG", "SET", "replica-serve-stale-data", "no")
            self.redis[0].ask("REPLICAOF", "127.0.0.1", "1")
            wait_until(is_told(("GET", key), "MASTERDOWN", "down", "masterdown"), what="MASTERDOWN to be told")
            self.redis[0].ask("REPLICAOF", "NO", "ONE")
            wait_until(lambda: session.ask("GET", key) == b"1" and self.health()["state"] == "up", what="its end")

    def test_a_server_that_loads_says_so_at_once_and_serves_when_it_has(self):
        redis = RedisServer(self, {"rdbcompression": "no", "loading-process-events-interval-bytes": 1024,
                                   "key-load-delay": 20_000})
        with redis.connect() as inside:
            inside.ask_all(*[("SET", f"k{n}", "x" * 2000) for n in range(1000)])  # 20 s
            self.assertEqual(inside.ask("SAVE"), "OK")
        self.serve([redis])
        self.assertEqual(self.sheaf.ask("STRLEN", "k1"), 2000)
        redis.kill9()
        redis.start(loading=True)
        reply = wait_until(lambda: r if getattr(r := self.sheaf.ask("GET", "k1"), "code", "") == "LOADING" else None)
        self.assertIn(redis.address, reply)
        self.await_state("down", reason="loading")
        redis.ask("CONFIG", "SET", "key-load-delay", "0")
        wait_until(lambda: self.sheaf.ask("STRLEN", "k1") == 2000, what="the data")
        self.await_state("up")

    def test_a_server_that_cannot_save_serves_reads_and_is_noted(self):
        nowhere = tempfile.mkdtemp()
        redis = RedisServer(self, {"save": "3600 1000000", "dir": nowhere})
        os.rmdir(nowhere)
        redis.ask("SET", "a", "1")
        redis.ask("BGSAVE")
        wait_until(lambda: getattr(redis.ask("PING"), "code", "") == "MISCONF", what="the save to fail")
        self.serve([redis], stamp="no")
        self.await_state("up", reason="writes_refused")
        self.assertEqual(self.sheaf.ask("GET", "a"), b"1")
        self.assertEqual(self.sheaf.ask("SET", "a", "2").code, "MISCONF")

    def test_a_user_that_may_not_ping_is_no_fault_of_the_server(self):
        redis = RedisServer(self, users=["default on nopass ~* +get +set", "app on >pw ~* +get +set"])
        for url in (redis.url, f"redis://app:pw@{redis.address}"):
            self.serve([url])
            self.assertEqual(self.sheaf.ask("SET", "a", "1"), "OK")
            wait_until(lambda: self.health()["probe"], what="the probe")
            health = self.health()
            self.assertEqual((health["state"], health["reason"], health["probe"]["ok"]), ("up", "", True))

    def test_a_wrong_stamp_is_told_as_such_and_stays_told(self):
        self.serve()
        keys = [keys[0] for keys in keys_on_shards(2)]
        self.assertEqual([self.sheaf.ask("SET", k, "1") for k in keys], ["OK", "OK"])
        self.sheaf.terminate()
        self.sheaf.wait()
        self.sheaf = Sheaf(self, pool(self.redis[::-1], **FAST))
        for key in keys:
            self.assertIsInstance(self.sheaf.ask("GET", key), Failure)
        self.await_state("down", 0, "stamp_mismatch")
        seen, ages = set(), [self.health()["probe"]["age_s"]]

        def fifteen_probes_later():
            health = self.health()
            seen.add((health["up"], health["reason"]))
            ages.append(health["probe"]["age_s"])
            return sum(later < age for age, later in zip(ages, ages[1:])) > 15
        wait_until(fifteen_probes_later)
        self.assertEqual(seen, {(False, "stamp_mismatch")})
        self.assertEqual(self.sheaf.log.count("to=down"), 2, self.sheaf.log)


class DeadShards(HealthCase):
    """What needs a new connection is refused at once, too, and served as soon as there can be one."""

    def setUp(self):
        self.key = keys_on_shards(2)[0][0]

    def ask_in_all_ways(self):
        with self.sheaf.connect() as session, self.sheaf.connect() as modern, self.sheaf.connect() as listener:
            self.assertIsInstance(modern.ask("HELLO", "3"), dict)
            return [session.ask("BLPOP", "{%s}none" % self.key, "0.01"), session.ask("WATCH", self.key),
                    modern.ask("GET", self.key), listener.ask("SSUBSCRIBE", self.key)]

    def serve_alone(self, **options):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.sheaf = Sheaf(self, pool(self.redis, **{**FAST, **options}), proxy={"workers": 1})
        self.await_probes()

    def test_a_server_that_stands_still_costs_no_new_connection_its_timeout(self):
        self.serve_alone(connect_timeout="1h")
        self.assertEqual(self.sheaf.ask("SET", self.key, "1"), "OK")
        self.redis[0].stop()
        self.await_state("down", reason="response_timeout")
        for reply in self.ask_in_all_ways():
            self.assertIsInstance(reply, Failure)
            self.assertIn(self.redis[0].address, reply)
        self.redis[0].cont()

    def test_a_connection_that_stands_is_worth_more_than_an_older_verdict(self):
        self.serve_alone(breaker_open="1h", breaker_failures=1, fall=1000)
        self.redis[0].kill9()
        self.assertIsInstance(self.sheaf.ask("GET", self.key), Failure)  # so it is tried again by who asked
        self.await_state("down")
        for reply in self.ask_in_all_ways():
            self.assertIsInstance(reply, Failure)
        self.redis[0].restart()
        wait_until(lambda: self.sheaf.ask("SET", self.key, "1") == "OK", what="the shard to be tried again")
        self.assertEqual(self.health()["state"], "down")
        self.assertEqual(self.ask_in_all_ways()[:3], [None, "OK", b"1"])


class Reloads(HealthCase):
    def test_verdicts_and_drained_endpoints_survive_a_reload(self):
        self.serve()
        self.await_probes()
        self.redis[0].kill9()
        self.await_state("down")
        since = self.health()["since"]
        code, text = self.sheaf.http("/api/v1/drain?pool=main&shard=1", "POST")
        self.assertEqual((code, json.loads(text)["state"]), (200, "draining"))
        kind, options = pool(self.redis, **FAST)
        options["listen"] = self.sheaf.listeners["main"][0]
        other = pool([RedisServer(self)], name="aaa", **FAST)
        self.sheaf.reload(other, (kind, options))
        wait_until(lambda: self.sheaf.status()["generation"] == 2, what="the reload")
        health = self.health(0)
        self.assertEqual(health["state"], "down")
        self.assertLessEqual(abs(health["since"] - since), 1)
        self.assertTrue(self.health(1)["drained"])
        self.assertEqual(self.health(0, name="aaa")["state"], "up")
        self.redis[0].restart()
        self.await_state("up")
        self.assertEqual(self.health(1)["state"], "draining")

    def test_new_settings_count_from_the_reload_on(self):
        self.serve(fall=1000)
        self.await_probes()
        self.redis[0].kill9()
        wait_until(lambda: self.health()["probe"]["reason"] == "connect_refused", what="a bad probe")
        kind, options = pool(self.redis, **{**FAST, "fall": 1})
        self.sheaf.reload((kind, {**options, "listen": self.sheaf.listeners["main"][0]}))
        self.await_state("down")

    def test_probes_end_with_the_pool_and_with_the_process(self):
        redis = [RedisServer(self) for _ in range(2)]
        wires = [Faults(self, ("127.0.0.1", r.port)) for r in redis]
        self.sheaf = Sheaf(self, pool(wires[:1], name="stays", **FAST),
                           pool(wires[1:], name="goes", **{**FAST, "probe_timeout": "60s"}))
        wait_until(lambda: (self.health(name="goes")["probe"] or {}).get("ok"), what="a probe")
        wires[1].black_hole = True  # the next probe waits for a minute
        wait_until(lambda: self.health(name="goes")["probe"]["age_s"] > 0.3, what="the probe to wait")
        self.sheaf.reload(pool(wires[:1], name="stays", **FAST))
        wait_until(lambda: [p["name"] for p in self.sheaf.status()["pools"]] == ["stays"])
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(5), 0)


if __name__ == "__main__":
    main()
