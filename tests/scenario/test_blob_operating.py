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


if __name__ == "__main__":
    main()
