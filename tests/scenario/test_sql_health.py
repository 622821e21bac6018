#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""Health of SQL pools: who is the primary, how far replicas are behind, and what becomes of both when servers
fall, stand still, are promoted, or come back from another time."""
import json
import os
import shutil
import tempfile
import time

import psycopg2

from lib import *
from lib import pgwire as pg
from lib import postgres
from lib.process import run

FAST = {"probe_interval": "50ms", "probe_timeout": "500ms", "rise": 2, "fall": 3, "breaker_open": "50ms",
        "backoff_max": "200ms", "slow_start": "0s", "max_lag": "300ms",
        "probe_user": "postgres"}  # who sees at once which timeline a replica follows


def given(server, *more):
    """A line of the configuration."""
    return (server if isinstance(server, str) else server.url) + "".join(more)


class AnotherCluster(Postgres):
    """All others are copies of one, and say so by its system identifier."""

    def start(self, wait=True):
        if "own" not in self.options.get("cluster_name", ""):
            self.options["cluster_name"] = "'own'"
            shutil.rmtree(self.data)
            code, _, err = run([postgres.binary("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust",
                                "--wal-segsize", "1", "--no-sync", "--no-instructions"], seconds=60, user="postgres")
            if code:
                raise AssertionError(err)
        super().start(wait=False)
        wait_until(self.serves, seconds=30, what="the other cluster")

    def sql(self, text, *arguments, user="postgres", database="postgres"):
        return super().sql(text, *arguments, user=user, database=database)


class HealthCase(Case):
    def serve(self, primaries, replicas=(), **options):
        """`primaries` and `replicas` are Postgres objects or URLs, as the configuration calls them."""
        self.sheaf = Sheaf(self, self.pool(primaries, replicas, **options))
        return self.sheaf

    @staticmethod
    def pool(primaries, replicas=(), **options):
        primaries = primaries if isinstance(primaries, list) else [primaries]
        return ("sql main", {"listen": f"postgresql://127.0.0.1:{free_port()}",
                             "primary": [given(each) for each in primaries],
                             "replica": [given(each) for each in replicas],
                             "auth": "trust", "user": "app secret", **FAST, **options})

    def cluster(self, replicas=1, **options):
        self.primary = Postgres(self, **options)
        self.replicas = [Replica(self, self.primary) for _ in range(replicas)]
        self.replica = self.replicas[0] if replicas else None

    # --- what is told

    def told(self, name="main"):
        return {p["name"]: p for p in self.sheaf.status()["pools"]}[name]

    def of(self, server):
        return next(each for each in self.told()["endpoints"] if each["endpoint"] == server.address)

    def standing(self, server):
        standing = self.of(server)["standing"]
        return standing["role"], standing["fit"]

    def told_by_status(self, server):
        """Its line of `sheaf status`."""
        code, out, err = self.sheaf.command("status", f"http://127.0.0.1:{self.sheaf.admin_port}")
        self.assertEqual(code, 0, err)
        return next(line for line in out.splitlines() if server.address in line)

    def metric(self, name, server):
        """None if it is not told of this one."""
        lines = [line for line in self.sheaf.http("/metrics")[1].splitlines()
                 if line.startswith(name + "{") and f'endpoint="{server.address}"' in line]
        self.assertLessEqual(len(lines), 1)
        return float(lines[0].rsplit(" ", 1)[1]) if lines else None

    def await_true(self, condition, what):
        try:
            return wait_until(condition, seconds=20, what=what)
        except AssertionError as error:
            told = [(x["endpoint"], x["health"], x["standing"]) for x in self.told()["endpoints"]]
            raise AssertionError(
                f"{error}:\n{json.dumps([self.told()['primary'], told], indent=1)}\n{self.sheaf.log}") from None

    def await_standing(self, server, role, fit):
        self.await_true(lambda: self.standing(server) == (role, fit), f"{server.address} to be {role}, {fit}")

    def await_primary(self, server):
        address = server.address if server else ""
        self.await_true(lambda: self.told()["primary"]["endpoint"] == address, f"the primary to be {address!r}")

    def await_state(self, server, state, reason=None):
        def is_so():
            health = self.of(server)["health"]
            return health["state"] == state and reason in (None, health["reason"])
        self.await_true(is_so, f"{server.address} to be {state} {reason or ''}")

    def await_settled(self):
        """All is as the cluster was made."""
        self.await_standing(self.primary, "primary", "fresh")
        for each in self.replicas:
            self.await_standing(each, "replica", "fresh")

    def lines(self, *words):
        return [x for x in self.sheaf.log.splitlines() if all(word in x for word in words)]


class SharedCluster(HealthCase):
    """Tests that leave the servers as they were."""

    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.replicas = [Replica(cls, cls.primary) for _ in range(2)]
        cls.replica = cls.replicas[0]

    def pause(self, replica):
        replica.pause()
        self.addCleanup(replica.resume)


class Roles(SharedCluster):
    def test_roles_and_positions_are_known_from_the_start(self):
        self.serve(self.primary, self.replicas)
        self.await_settled()
        system_id = str(self.primary.value("SELECT system_identifier FROM pg_control_system()"))
        told = self.told()
        self.assertEqual(told["primary"]["endpoint"], self.primary.address)
        self.assertEqual((told["primary"]["timeline"], told["primary"]["epoch"]), (1, 1))
        self.assertEqual((told["primary"]["system_id"], told["primary"]["split"]), (system_id, False))
        for server in [self.primary, *self.replicas]:
            standing = self.of(server)["standing"]
            self.assertEqual((standing["timeline"], standing["system_id"]), (1, system_id))
            self.assertRegex(standing["position"], r"^[0-9A-F]+/[0-9A-F]+$")
            self.assertGreaterEqual(standing["version"], 140000)
            self.assertFalse(standing["assumed"] or standing["read_only"] or standing["replay_paused"])
            self.assertGreater(standing["started"], 1_600_000_000)
        self.assertEqual(self.of(self.replica)["standing"]["lag_s"], 0)
        self.assertEqual(self.of(self.replica)["standing"]["lag_bytes"], 0)
        self.assertIsNone(self.of(self.primary)["standing"]["lag_s"])
        for server, role in ((self.primary, "primary"), (self.replica, "replica")):
            self.assertRegex(self.told_by_status(server), rf"^ *{role} ")
            self.assertEqual(self.metric("sheaf_server_is_primary", server), role == "primary")
            self.assertEqual(self.metric("sheaf_server_timeline", server), 1)
        self.assertEqual(self.metric("sheaf_replica_is_fresh", self.replica), 1)
        self.assertEqual(self.metric("sheaf_replica_lag_seconds", self.replica), 0)
        self.assertIsNone(self.metric("sheaf_replica_lag_seconds", self.primary))

    def test_the_configuration_may_have_it_the_other_way_round(self):
        self.serve(self.replica, [self.primary, self.replicas[1]])
        self.await_settled()
        self.assertEqual(self.told()["primary"]["endpoint"], self.primary.address)

    def test_several_candidates_may_be_given_as_primary(self):
        self.serve([self.replicas[0], self.replicas[1], self.primary])
        self.await_settled()

    def test_a_unix_socket_is_probed_too(self):
        self.serve(f"postgresql+unix://{self.primary.folder}?port={self.primary.port}")
        self.await_true(lambda: self.told()["endpoints"][0]["standing"]["role"] == "primary", "its role")

    def test_a_server_of_another_cluster_is_refused(self):
        other = AnotherCluster(self)
        self.serve(self.primary, [*self.replicas, other])
        self.await_settled()
        self.await_standing(other, "unknown", "other_cluster")
        self.assertIn("belongs to another cluster", self.of(other)["standing"]["text"])
        self.assertTrue(self.lines("standing changed", other.address, "other_cluster"))
        self.assertEqual(self.sheaf.http("/api/v1/drain?pool=main&shard=0", "POST")[0], 200)
        self.await_primary(None)  # and not the other, which is up and takes writes
        self.assertEqual(self.standing(other), ("unknown", "other_cluster"))


class Logins(HealthCase):
    def test_an_ordinary_user_learns_what_is_needed(self):
        self.cluster(auth="scram-sha-256")
        self.serve(self.primary, [self.replica], probe_user="app", probe_password="secret", probe_database="app")
        self.await_settled()

    def test_without_a_probe_user_the_urls_or_the_first_with_a_password_is_taken(self):
        self.cluster(auth="scram-sha-256")
        scram = self.primary.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
        for url in (lambda server: server.url_as(), lambda server: server.url):
            name, section = self.pool(url(self.primary), [url(self.replica)])
            section["user"] = ["nobody nopass", f"stranger {scram}", "app secret"]
            del section["probe_user"]
            self.sheaf = Sheaf(self, (name, section))
            self.await_settled()

    def test_who_is_not_let_in_is_told_so_and_roles_are_taken_from_the_configuration(self):
        self.cluster(auth="scram-sha-256")
        self.serve(self.primary, [self.replica], probe_user="app", probe_password="wrong")
        self.await_standing(self.primary, "primary", "fresh")
        self.await_standing(self.replica, "replica", "unknown")
        for server in (self.primary, self.replica):
            self.assertTrue(self.of(server)["standing"]["assumed"])
            self.await_state(server, "up", "probe_not_let_in")
        self.assertRegex(self.of(self.primary)["health"]["probe"]["text"], "28P01: password authentication failed")
        self.assertNotIn("wrong", json.dumps(self.sheaf.status()))

    def free_connection(self):
        """None: those by which the server was made ready still end."""
        try:
            return self.primary.connect(user="app")
        except psycopg2.OperationalError:
            return None

    def test_a_server_without_a_free_connection_is_not_taken_for_a_dead_one(self):
        self.primary, self.replicas = Postgres(self, {"max_connections": 8}), []
        hold = [wait_until(self.free_connection, what="a free one") for _ in range(3)]  # five are for superusers
        self.serve(self.primary, probe_user="app")
        self.await_state(self.primary, "up", "crowded")
        self.await_primary(self.primary)
        for each in hold:
            each.close()
        self.await_standing(self.primary, "primary", "fresh")
        self.await_true(lambda: not self.of(self.primary)["standing"]["assumed"], "its role to be known")

    def test_tls_is_verified_by_default_where_it_is_asked_for(self):
        folder = tempfile.mkdtemp(prefix="sheaf-tls-")
        self.addCleanup(shutil.rmtree, folder)
        ours, others = Certificates(folder + "/ours"), Certificates(folder + "/others")
        self.primary, self.replicas = Postgres(self, certificates=ours, hba=["hostssl all all all trust"]), []
        self.serve(self.primary, server_tls="verify", server_tls_ca=ours.ca)
        self.await_settled()
        self.sheaf.reload(self.pool(self.primary, server_tls="verify", server_tls_ca=others.ca))
        self.await_state(self.primary, "down", "tls_failed")
        self.sheaf.reload(self.pool(self.primary, server_tls="require", server_tls_ca=others.ca))
        self.await_settled()
        self.sheaf.reload(self.pool(self.primary, server_tls="off"))
        self.await_state(self.primary, "up", "probe_not_let_in")  # it lets in by TLS only


class SlowStart(HealthCase):
    READS = 40

    def weight(self):
        return self.of(self.replica)["health"]["weight_percent"]

    def reads(self):
        """How many of them the replica gets: each of a session of its own, for one that goes on reading stays where it is."""
        before = self.of(self.replica)["totals"]["requests"]
        for n in range(self.READS):
            with pg.PgSession(self.sheaf.target()) as session:
                self.assertEqual(session.value(f"SELECT {n}"), str(n))
        return self.of(self.replica)["totals"]["requests"] - before

    def test_a_replica_that_came_back_is_used_at_once_however_long_its_back_off_is(self):
        self.cluster(1)
        self.sheaf = Sheaf(self, self.pool(self.primary, self.replicas, backoff_min="60s", backoff_max="60s"), proxy={"workers": 1})
        self.await_settled()
        self.assertEqual(self.reads(), self.READS)
        self.replica.kill9()
        self.assertEqual(self.reads(), 0)
        self.await_state(self.replica, "down")
        self.replica.restart()
        self.await_state(self.replica, "up")
        self.await_settled()
        wait_until(lambda: self.reads() > 0, seconds=20, what="reads at the replica")

    def test_a_replica_that_came_back_gets_its_share_little_by_little(self):
        self.cluster(2)
        for balance in ("round-robin", "weights"):
            with self.subTest(balance=balance):
                self.sheaf = Sheaf(self, self.pool(self.primary, self.replicas, slow_start="3s", balance=balance,
                                                   max_lag="60s"),  # who just came back may lag for a moment: not meant here
                                   proxy={"workers": 1})
                self.await_settled()
                self.replica.kill9()
                self.await_state(self.replica, "down")
                self.replica.restart()
                self.await_state(self.replica, "up")
                self.await_settled()
                weights = [self.weight()]
                while weights[-1] < 100 or len(weights) < 2 or weights[-2] < 100:
                    got = self.reads()
                    weights.append(self.weight())
                    least, most = (self.READS * weight / (100 + weight) for weight in weights[-2:])
                    self.assertTrue(least - 3 <= got <= most + 3, (got, weights, self.of(self.replica)))
                self.assertLess(weights[0], 100)  # it was seen while it had less


class Falls(HealthCase):
    def test_a_killed_replica_is_down_and_comes_back(self):
        self.cluster(2)
        self.serve(self.primary, self.replicas)
        self.await_settled()
        self.replica.kill9()
        self.await_state(self.replica, "down", "connect_refused")
        self.assertEqual(self.standing(self.replicas[1]), ("replica", "fresh"))
        self.assertEqual(self.told()["primary"]["epoch"], 1)
        self.replica.restart()
        self.await_state(self.replica, "up")
        self.await_settled()

    def test_a_replica_that_stands_still_is_down_by_its_silence(self):
        self.cluster()
        self.serve(self.primary, [self.replica], probe_timeout="150ms")
        self.await_settled()
        self.replica.stop()
        self.await_state(self.replica, "down", "response_timeout")
        self.assertEqual(self.told()["primary"]["endpoint"], self.primary.address)
        self.replica.cont()
        self.await_state(self.replica, "up")
        self.await_settled()

    def test_a_killed_primary_leaves_none_until_it_is_back(self):
        self.cluster()
        self.serve(self.primary, [self.replica])
        self.await_settled()
        self.primary.kill9()
        self.await_primary(None)
        self.await_state(self.primary, "down", "connect_refused")
        self.assertEqual(self.standing(self.replica), ("replica", "fresh"))  # reads go on
        self.assertEqual(self.told()["primary"]["epoch"], 2)
        self.primary.restart()
        self.await_primary(self.primary)
        self.assertEqual(self.told()["primary"]["epoch"], 3)
        self.await_settled()
        self.assertEqual(len(self.lines("no primary", "pool=main", f"was={self.primary.address}")), 1)

    def test_a_server_that_takes_no_connections_yet_is_told_as_such(self):
        self.cluster()
        self.replica.options["hot_standby"] = "off"
        self.replica.shutdown()
        self.replica.start(wait=False)
        self.serve(self.primary, [self.replica])
        self.await_state(self.replica, "down", "starting_up")
        self.assertIn("57P03", self.of(self.replica)["health"]["probe"]["text"])

    def test_a_drained_primary_is_none_until_it_is_put_back(self):
        self.cluster()
        self.serve(self.replica, [self.primary])
        self.await_settled()
        shard = self.of(self.primary)["index"]
        self.assertEqual(self.sheaf.http(f"/api/v1/drain?pool=main&shard={shard}", "POST")[0], 200)
        self.await_primary(None)
        self.assertEqual(self.sheaf.http(f"/api/v1/undrain?pool=main&shard={shard}", "POST")[0], 200)
        self.await_primary(self.primary)

    def test_a_reload_keeps_what_is_known(self):
        self.cluster(2)
        self.serve(self.primary, self.replicas)
        self.await_settled()
        since = self.told()["primary"]["since"]
        self.sheaf.reload(self.pool(self.replicas, [self.primary], max_lag="400ms"))
        self.await_true(lambda: self.told()["max_lag_ms"] == 400, "the reload")
        primary = self.told()["primary"]
        self.assertEqual((primary["endpoint"], primary["epoch"], primary["since"]),
                         (self.primary.address, 1, since))
        self.assertEqual(self.standing(self.replica), ("replica", "fresh"))
        self.sheaf.reload(self.pool(self.replicas))
        self.await_primary(None)  # it is no candidate any more
        self.assertEqual(self.told()["primary"]["epoch"], 2)


    def test_a_reload_that_moves_a_server_keeps_its_counts(self):
        self.cluster()
        self.serve([self.primary, self.replica])
        self.await_settled()
        with pg.PgSession(self.sheaf.target()) as session:
            session.ask("BEGIN")
            self.assertEqual(session.ask("CREATE TABLE made (n int)").errors, [])
            _, words = self.pool([self.replica, self.primary])
            self.sheaf.reload(("sql main", words | {"listen": self.sheaf.listeners["main"]}))
            self.await_true(lambda: self.of(self.primary)["index"] == 1, "the reload")
            self.await_true(lambda: (self.of(self.primary)["servers"]["active"], self.of(self.primary)["servers"]["idle"]) == (1, 0), "what is in use")
            self.assertEqual(session.ask("COMMIT").errors, [])
            self.await_true(lambda: (self.of(self.primary)["servers"]["active"], self.of(self.primary)["servers"]["idle"]) == (0, 1), "what is free")


class Promotions(HealthCase):
    def test_a_promoted_replica_is_the_primary_although_the_old_one_goes_on(self):
        self.cluster(2)
        self.serve(self.primary, self.replicas)
        self.await_settled()
        promoted, other = self.replicas
        promoted.promote()
        self.await_primary(promoted)
        self.await_standing(self.primary, "unknown", "stale_primary")
        self.await_standing(other, "replica", "other_timeline")
        told = self.told()["primary"]
        self.assertEqual((told["timeline"], told["epoch"], told["split"]), (2, 2, False))
        self.assertEqual(self.of(self.primary)["health"]["state"], "up")
        self.assertEqual(len(self.lines("primary changed", f"endpoint={promoted.address}",
                                        f"was={self.primary.address}", "timeline=2")), 1)
        self.assertTrue(self.lines("standing changed", self.primary.address, "stale_primary"))
        other.follow(promoted)
        self.await_standing(other, "replica", "fresh")

    def test_an_old_primary_that_comes_back_is_not_used_even_if_there_is_no_other(self):
        self.cluster()
        self.serve(self.primary, [self.replica])
        self.await_settled()
        self.primary.kill9()
        self.await_primary(None)
        self.replica.promote()
        self.await_primary(self.replica)
        self.primary.restart()
        self.await_standing(self.primary, "unknown", "stale_primary")
        self.await_state(self.primary, "up")
        self.assertEqual(self.told()["primary"]["endpoint"], self.replica.address)
        self.replica.kill9()
        self.await_primary(None)
        self.await_state(self.replica, "down")
        self.assertEqual(self.standing(self.primary), ("unknown", "stale_primary"))
        # The operator gives the newer one up: then the older one is what there is.
        self.sheaf.reload(self.pool(self.primary))
        self.await_primary(self.primary)

    def test_without_rights_it_is_seen_that_a_replica_goes_along_with_the_new_primary(self):
        self.cluster(2)
        self.serve(self.primary, self.replicas, probe_user="app")
        self.await_settled()
        promoted, other = self.replicas
        self.primary.kill9()
        promoted.promote()
        self.await_primary(promoted)
        self.await_standing(other, "replica", "other_timeline")  # so far it follows nobody
        other.follow(promoted)
        self.await_standing(other, "replica", "fresh")
        self.assertEqual(self.of(other)["standing"]["timeline"], 2)
        # The old one comes back, but as a replica: its process receives what all have.
        self.primary.become_replica_of(promoted)
        self.await_standing(self.primary, "replica", "fresh")
        promoted.kill9()
        self.await_primary(None)
        self.assertEqual(self.standing(other), ("replica", "fresh"))  # what is known of it stays

    def test_without_rights_who_goes_along_with_a_stale_primary_is_not_used(self):
        self.cluster(2)
        self.serve(self.primary, self.replicas, probe_user="app")
        self.await_settled()
        promoted, other = self.replicas
        promoted.promote()
        self.await_primary(promoted)
        self.await_standing(self.primary, "unknown", "stale_primary")
        for _ in range(20):
            position = self.of(other)["standing"]["position"]
            promoted.sql("SELECT pg_logical_emit_message(true, 'test', 'x')")
            self.primary.sql("SELECT pg_logical_emit_message(true, 'test', 'x')")
            self.await_true(lambda p=position: self.of(other)["standing"]["position"] != p, "another sight of it")
            self.assertEqual(self.standing(other), ("replica", "other_timeline"))

    def test_two_primaries_of_one_timeline_are_told_and_the_first_stays(self):
        self.cluster()
        self.serve(self.primary, [self.replica])
        self.await_settled()
        self.replica.shutdown()
        (self.replica.data / "standby.signal").unlink()  # what nobody should do
        self.replica.start()
        self.await_true(lambda: self.told()["primary"]["split"], "the alarm")
        self.assertEqual(self.told()["primary"]["endpoint"], self.primary.address)
        self.await_standing(self.replica, "unknown", "stale_primary")
        self.assertEqual(len(self.lines("error", "more than one server takes writes", "pool=main",
                                        f"used={self.primary.address}")), 1)

    def test_a_primary_that_became_a_replica_loses_the_role(self):
        self.cluster()
        self.serve(self.primary, [self.replica])
        self.await_settled()
        self.primary.shutdown()
        self.replica.promote()
        (self.primary.data / "standby.signal").touch()
        os.chown(self.primary.data / "standby.signal", os.stat(self.primary.data).st_uid, -1)
        self.primary.options["primary_conninfo"] = \
            f"'host={self.replica.folder} port={self.replica.port} user=postgres'"
        self.primary.start()
        self.await_standing(self.primary, "replica", "fresh")
        self.assertEqual(self.told()["primary"]["endpoint"], self.replica.address)


class Lag(SharedCluster):
    def write_some(self):
        """A position that the replica has not; True, so that conditions may call it."""
        self.primary.sql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000))")
        return True

    def test_a_replica_that_stands_behind_is_lagging_and_fresh_again_when_it_has_caught_up(self):
        self.serve(self.primary, self.replicas)
        self.await_settled()
        self.pause(self.replica)
        self.write_some()
        self.await_standing(self.replica, "replica", "lagging")
        self.await_true(lambda: self.of(self.replica)["standing"]["lag_s"] > 1, "a lag of a second")
        standing = self.of(self.replica)["standing"]
        self.assertIn("lags behind the primary: ", self.told_by_status(self.replica))
        self.assertGreater(self.metric("sheaf_replica_lag_seconds", self.replica), 1)
        self.assertEqual(self.metric("sheaf_replica_is_fresh", self.replica), 0)
        self.assertGreater(standing["lag_bytes"], 1000)
        self.assertTrue(standing["replay_paused"])
        self.assertRegex(standing["text"], r"lags behind the primary: [\d.]+ s and \d+ bytes; its replay is paused")
        self.assertNotEqual(standing["position"], standing["received"])
        self.assertEqual(self.standing(self.replicas[1]), ("replica", "fresh"))
        self.assertEqual(self.of(self.replica)["health"]["state"], "up")
        self.replica.resume()
        self.await_settled()
        self.assertEqual(self.of(self.replica)["standing"]["lag_s"], 0)
        self.assertTrue(self.lines("standing changed", self.replica.address, "standing=lagging"))
        self.assertTrue(self.lines("standing changed", self.replica.address, "standing=fresh"))

    def test_nothing_to_apply_is_no_lag_however_long_it_takes(self):
        self.serve(self.primary, self.replicas, max_lag="100ms")
        self.await_settled()
        self.addCleanup(self.replica.resume)

        def stands_still_for_longer_than_that():
            position, begun = self.primary.position(), time.monotonic()
            self.replica.wait_for_catchup()
            self.replica.pause()
            wait_until(lambda: time.monotonic() > begun + 0.5)
            told = self.of(self.replica)["standing"]
            self.replica.resume()
            return self.primary.position() == position and told  # it writes now and then by itself
        told = self.await_true(stands_still_for_longer_than_that, "the primary to be idle")
        self.assertEqual((told["fit"], told["lag_s"], told["lag_bytes"]), ("fresh", 0, 0))

    def test_bytes_may_be_the_limit(self):
        self.serve(self.primary, self.replicas, max_lag="unlimited", max_lag_bytes="2kb")
        self.await_settled()
        self.pause(self.replica)
        self.await_true(lambda: self.write_some() and self.standing(self.replica) == ("replica", "lagging"),
                        "too many bytes")
        self.replica.resume()
        self.await_settled()

    def test_what_is_behind_from_the_start_is_not_known_to_be_fresh(self):
        self.pause(self.replica)
        self.write_some()
        self.serve(self.primary, self.replicas, max_lag="1h")
        self.await_standing(self.primary, "primary", "fresh")
        self.await_true(lambda: self.of(self.replica)["standing"]["lag_bytes"], "the replica's position")
        self.assertEqual(self.standing(self.replica), ("replica", "unknown"))
        self.assertIsNone(self.of(self.replica)["standing"]["lag_s"])
        self.replica.resume()
        self.await_settled()


if __name__ == "__main__":
    main()
