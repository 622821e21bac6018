#!/usr/bin/python3
# release only: the sanitizers see the same code with the stores of test_blob_servers
"""Blob pools over OpenStack Swift, which checks signatures strictly and knows nothing of what S3's clients send today."""
import os
import signal
import unittest

from lib import *
from lib.blob import *
from lib.blob_load import BlobLoad

KINDS = (("proxy", signal.SIGKILL), ("proxy", signal.SIGSTOP), ("object", signal.SIGKILL), ("object", signal.SIGSTOP))


class TwoAccounts(BlobStory, Case):
    lacks = ("tags", "control characters", "names of digests")

    @classmethod
    def setUpClass(cls):
        cls.swift = Swift(cls)
        cls.sheaf = Sheaf(cls, blob_pool(cls.swift.urls))


class Faulty(Case):
    """It falls or stands still, whole or where it keeps its objects, beside a folder."""

    @unittest.skipUnless(os.environ.get("SHEAF_LONG") == "1", "takes half a minute")
    def test_a_swift_that_is_killed_and_stopped_under_load(self):
        swift = Swift(self)
        sheaf = Sheaf(self, blob_pool([swift.urls[0], folder_url(self, sync="never")], unsigned_access="yes", timeout="3s", probe_interval="100ms",
                                      probe_timeout="1s", rise=1, fall=3, breaker_open="100ms", backoff_max="200ms"))
        s3_client(sheaf.target("mail"), retries={"max_attempts": 5}).create_bucket(Bucket="load")

        def is_up():
            return sheaf.status()["pools"][0]["shards"][0]["health"]["up"]

        with BlobLoad(sheaf, most=50_000) as load:
            wait_until(load.ops(40), what="work to go on")
            for server, number in KINDS:
                swift.signal(server, number)
                if server == "proxy":
                    wait_until(lambda: not is_up(), what="it to be found down")
                wait_until(load.ops(10), what="the other to be served")
                if number == signal.SIGKILL:
                    swift.again(server)
                else:
                    swift.signal(server, signal.SIGCONT)
                wait_until(is_up, what="it to be found up")
                wait_until(load.ops(40), what="work to go on")
        of_swift = {key for key, place in zip(load.keys, sheaf.route(*load.keys, name="mail")) if place[3] == "0"}
        self.assertEqual([error for error in load.errors if error[0] not in of_swift][:3], [])
        load.check(self)


if __name__ == "__main__":
    main()
