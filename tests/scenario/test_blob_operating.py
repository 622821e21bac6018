#!/usr/bin/python3
"""Blob pools, as those see them who run them: figures, slow requests."""
import json

from lib import *
from lib.blob import *


def series(text):
    """What /metrics says: {(name, labels): value}."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and not line.startswith("#"):
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            found[match[1], tuple(sorted(labels.items()))] = float(match[3])
    return found


class Figures(Case):
    @classmethod
    def setUpClass(cls):
        cls.shards = [folder_url(cls, sync="never") for _ in range(2)]
        cls.sheaf = Sheaf(cls, blob_pool(cls.shards), proxy={"slow_time": "0ms"})
        cls.s3 = s3_client(cls.sheaf.target("mail"))
        cls.s3.create_bucket(Bucket="figures")
        for n in range(8):
            cls.s3.put_object(Bucket="figures", Key=f"k{n}", Body=b"12345")
        for n in range(3):
            cls.s3.get_object(Bucket="figures", Key="k1")["Body"].read()
        for key in ("none", "neither"):
            with cls.assertRaises(cls(), ClientError):
                cls.s3.get_object(Bucket="figures", Key=key)
        with cls.assertRaises(cls(), ClientError):
            cls.s3.head_object(Bucket="no-such-bucket", Key="k")
        with cls.assertRaises(cls(), ClientError):
            s3_client(cls.sheaf.target("mail"), secret="wrong").list_objects_v2(Bucket="figures")
        cls.s3.list_objects_v2(Bucket="figures")

    def metric(self, name, **labels):
        """The sum of all that have these labels."""
        return sum(value for (this, have), value in series(self.sheaf.http("/metrics")[1]).items()
                   if this == name and labels.items() <= dict(have).items())

    def test_buckets_and_operations(self):
        one = {"pool": "mail", "bucket": "figures"}
        for operation, requests, received, sent in (("PutObject", 8, 40, 0), ("CreateBucket", 1, None, 0)):
            self.assertEqual(self.metric("sheaf_blob_requests_total", operation=operation, **one), requests, operation)
            self.assertEqual(self.metric("sheaf_blob_sent_bytes_total", operation=operation, **one), sent, operation)
            if received is not None:
                self.assertEqual(self.metric("sheaf_blob_received_bytes_total", operation=operation, **one), received)
        self.assertEqual(self.metric("sheaf_blob_requests_total", operation="GetObject", **one), 5)
        self.assertGreaterEqual(self.metric("sheaf_blob_sent_bytes_total", operation="GetObject", **one), 15)
        self.assertEqual(self.metric("sheaf_blob_latency_seconds_count", operation="GetObject", **one), 5)
        self.assertEqual(self.metric("sheaf_blob_latency_seconds_bucket", operation="GetObject", le="+Inf", **one), 5)

    def test_errors_by_code(self):
        self.assertEqual(self.metric("sheaf_blob_errors_total", bucket="figures", operation="GetObject", code="NoSuchKey"), 2)
        # names that no request succeeded with are nobody's: strangers could make series without end
        self.assertEqual(self.metric("sheaf_blob_errors_total", bucket="(other)", operation="HeadObject", code="NoSuchKey"), 1)
        self.assertEqual(self.metric("sheaf_blob_errors_total", bucket="(other)", code="SignatureDoesNotMatch"), 0)
        self.assertEqual(self.metric("sheaf_blob_errors_total", bucket="", code="SignatureDoesNotMatch"), 1)
        self.assertNotIn("no-such-bucket", self.sheaf.http("/metrics")[1])

    def test_shards(self):
        puts = [self.metric("sheaf_blob_shard_requests_total", operation="PutObject", shard=str(n)) for n in range(2)]
        self.assertEqual(sum(puts), 8 + 2)      # and a stamp in each
        self.assertTrue(all(n > 1 for n in puts), puts)
        self.assertEqual(self.metric("sheaf_blob_shard_errors_total", operation="GetObject", code="NoSuchKey"), 2 + 2)
        self.assertGreater(self.metric("sheaf_shard_requests_total", pool="mail", shard="1"), 4)

    def test_status(self):
        pool = self.sheaf.status()["pools"][0]
        bucket = {each["name"]: each for each in pool["buckets"]}["figures"]
        self.assertEqual((bucket["requests"], bucket["errors"]), (8 + 1 + 5 + 1, 2))
        self.assertEqual(pool["operations"]["PutObject"]["requests"], 8)
        self.assertEqual(pool["errors"]["NoSuchKey"], 3)
        self.assertEqual(sum(each["operations"]["PutObject"]["received_bytes"] for each in pool["shards"]), 0)
        self.assertGreaterEqual(sum(each["operations"]["PutObject"]["sent_bytes"] for each in pool["shards"]), 40)

    def test_slow_requests(self):
        slow = json.loads(self.sheaf.http("/api/v1/slow")[1])["requests"]
        put = next(each for each in slow if each["command"] == "PutObject")
        self.assertEqual(put["pool"], "mail")
        self.assertRegex(put["key"], "^figures/k[0-7]$")
        self.assertIn(put["endpoint"], [each["endpoint"] for each in self.sheaf.status()["pools"][0]["shards"]])


class Verified(Case):
    """`sheaf verify`, of shards of which one was given what belongs to another."""

    def fill(self, sheaf, buckets=("one", "two"), count=30):
        s3 = s3_client(sheaf.target("mail"))
        for bucket in buckets:
            s3.create_bucket(Bucket=bucket)
            for n in range(count):
                s3.put_object(Bucket=bucket, Key=f"a/k{n}", Body=b"12345")
        return s3

    def verify(self, sheaf, *options, code=0):
        done, out, err = sheaf.command("verify", *options, sheaf.file, "mail")
        self.assertEqual(done, code, out + err)
        return out

    def totals(self, sheaf, *options, code=0):
        return json.loads(self.verify(sheaf, "--json", *options, code=code).splitlines()[-1])

    def test_folders(self):
        shards = [folder_url(self, sync="never") for _ in range(3)]
        sheaf = Sheaf(self, blob_pool(shards))
        self.fill(sheaf)
        self.assertIn("60 objects of 300 bytes, 0 misplaced", self.verify(sheaf))
        key = next(f"a/stray{n}" for n in range(99) if sheaf.route(f"a/stray{n}", name="mail")[0][3] != "1")
        with_one = Sheaf(self, blob_pool([shards[1]], stamp="no"))
        s3_client(with_one.target("mail")).put_object(Bucket="one", Key=key, Body=b"x")
        out = self.verify(sheaf, code=1)
        self.assertRegex(out, rf"misplaced\tone/{key}\tis on shard 1 \(.*\)\tbelongs on shard [02] ")
        self.assertIn("61 objects of 301 bytes, 1 misplaced", out)
        lines = [json.loads(line) for line in self.verify(sheaf, "--json", code=1).splitlines()]
        stray = next(each for each in lines if each.get("found"))
        self.assertEqual((stray["found"], stray["bucket"], stray["key"], stray["shard"], stray["bytes"]),
                         ("misplaced", "one", key, 1, 1))
        self.assertEqual((lines[-1]["objects"], lines[-1]["misplaced"], lines[-1]["fine"]), (61, 1, False))
        # a part of it, also when Sheaf is down
        sheaf.terminate()
        sheaf.wait()
        self.assertEqual(self.totals(sheaf, "--bucket", "two")["objects"], 30)
        self.assertEqual(self.totals(sheaf, "--bucket", "one", "--prefix", "a/stray", code=1)["objects"], 1)

    def test_servers_with_and_without_a_bucket_for_all(self):
        folders = [folder_url(self, sync="never") for _ in range(2)]
        stores = [Sheaf(self, blob_pool([folder]), proxy={"workers": 1}) for folder in folders]
        urls = ["s3://%s:%s@%s:%d" % (ID, SECRET, *each.target("mail")) for each in stores]
        s3_client(stores[1].target("mail")).create_bucket(Bucket="holder")
        # a Sheaf keeps its own names from being written by another: no stamps without a prefix
        sheaf = Sheaf(self, blob_pool([urls[0], urls[1] + "/holder/below"], stamp="no"))
        self.fill(sheaf, buckets=["one", "two", "three"], count=4)
        places = [pathlib.Path(folders[0][len("file://"):].split("?")[0], "one", "a+"),
                  pathlib.Path(folders[1][len("file://"):].split("?")[0], "holder", "below+", "one+", "a+")]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        for key, _, _, shard, _ in sheaf.route(*(f"a/bulk{n}" for n in range(2400)), name="mail"):
            (places[int(shard)] / key[2:]).write_text("x")      # more than a page of a list has
        totals = self.totals(sheaf)
        self.assertEqual((totals["objects"], totals["misplaced"]), (2412, 0))
        key = next(f"stray{n}" for n in range(99) if sheaf.route(f"stray{n}", name="mail")[0][3] == "0")
        s3_client(stores[1].target("mail")).put_object(Bucket="holder", Key=f"below/two/{key}", Body=b"x")
        out = self.verify(sheaf, code=1)
        self.assertIn(f"misplaced\ttwo/{key}\tis on shard 1", out)

    def test_shards_that_changed_places(self):
        shards = [folder_url(self, sync="never") for _ in range(2)]
        self.fill(Sheaf(self, blob_pool(shards)), buckets=["one"])
        swapped = Sheaf(self, blob_pool(reversed(shards)), start=False)
        out = self.verify(swapped, code=1)
        self.assertEqual(out.count("stamp\tshard"), 2)
        self.assertIn("30 objects of 150 bytes, 30 misplaced", out)

    def test_the_mail_servers_names(self):
        shards = [folder_url(self, sync="never") for _ in range(2)]
        sheaf = Sheaf(self, blob_pool(shards, key_transform="stalwart"))
        self.fill(sheaf, buckets=["one"])
        self.assertEqual(self.totals(sheaf)["misplaced"], 0)

    def test_a_shard_that_is_down_is_told(self):
        stores = [f"s3://{ID}:{SECRET}@127.0.0.1:{free_port()}/b", folder_url(self)]
        sheaf = Sheaf(self, blob_pool(stores, connect_timeout="1s"), start=False)
        lines = [json.loads(line) for line in self.verify(sheaf, "--json", code=1).splitlines()]
        self.assertIn("connect", lines[0]["failed"])
        self.assertNotIn("failed", lines[1])
        self.assertEqual((lines[2]["failed_shards"], lines[2]["fine"]), (1, False))

    def test_what_cannot_be_verified(self):
        for words in ([], ["--what"], ["a"], ["--bucket"], ["/no/such/file.ini", "mail"]):
            self.assertEqual(Sheaf.command("verify", *words)[0], 2, words)
        sheaf = Sheaf(self, blob_pool([folder_url(self)]), start=False)
        code, _, err = sheaf.command("verify", sheaf.file, "other")
        self.assertEqual((code, "pools: mail" in err), (2, True), err)


if __name__ == "__main__":
    main()
