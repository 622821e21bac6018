#!/usr/bin/python3
# long only: its packages are large, and it takes its time to start
"""Blob pools over Ceph's gateway, the S3 of most who have their own."""
import http.client
import unittest
import urllib.parse

from lib import *
from lib.blob import *
from lib.blob_clients import BlobClients

class Module:
    """The owner of what all classes use: it goes when the last of them ends."""
    addCleanup = staticmethod(unittest.addModuleCleanup)
    ceph = None


def setUpModule():
    Module.ceph = Ceph(Module())


class TwoTenants(BlobStory, Case):
    lacks = ("control characters",)

    @classmethod
    def setUpClass(cls):
        cls.ceph = Module.ceph
        cls.sheaf = Sheaf(cls, blob_pool(cls.ceph.urls))

    def test_a_source_with_a_percent_sign_does_the_store_no_harm(self):
        for key in ("a%25b", "a%b", "%", "a%2Fb", "a+b", "a b&c"):
            self.put(key, b"x" * 100)
            for n in range(4):
                where = {"Bucket": self.bucket, "Key": f"of {n}"}
                upload = self.s3.create_multipart_upload(**where)["UploadId"]
                part = self.s3.upload_part_copy(**where, UploadId=upload, PartNumber=1, CopySource={"Bucket": self.bucket, "Key": key})
                self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={
                    "Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})
                self.assertEqual(self.get(where["Key"]), b"x" * 100)

    def test_what_it_does_not_know_it_is_not_believed(self):
        """It gives the object itself when it is asked for its attributes, or for a part."""
        self.put("a", b"<GetObjectAttributesResponse/>")
        self.fails("NotImplemented", self.get, "a", PartNumber=2)
        self.fails("NotImplemented", self.s3.get_object_attributes, Bucket=self.bucket, Key="a", ObjectAttributes=["ETag"])

    def test_acls(self):
        for key in ("a", "b", "c"):
            self.put(key, b"x", ACL="public-read")
            grants = self.s3.get_object_acl(Bucket=self.bucket, Key=key)["Grants"]
            self.assertIn("READ", [each["Permission"] for each in grants])
            self.s3.put_object_acl(Bucket=self.bucket, Key=key, ACL="private")
            grants = self.s3.get_object_acl(Bucket=self.bucket, Key=key)["Grants"]
            self.assertEqual([each["Permission"] for each in grants], ["FULL_CONTROL"])
        self.s3.put_bucket_acl(Bucket=self.bucket, ACL="public-read")
        self.assertEqual(len(self.s3.get_bucket_acl(Bucket=self.bucket)["Grants"]), 2)

    def test_copies_have_their_sources_tags(self):
        self.put("source", b"x", Tagging="a=1&b=%C3%A4%20%2B")
        for n in range(4):
            where = {"Bucket": self.bucket, "Key": f"copy{n}"}
            for more, tags in (({}, {"a": "1", "b": "ä +"}), ({"TaggingDirective": "REPLACE", "Tagging": "c=3"}, {"c": "3"})):
                self.s3.copy_object(**where, CopySource={"Bucket": self.bucket, "Key": "source"}, **more)
                kept = self.s3.get_object_tagging(**where)["TagSet"]
                self.assertEqual({each["Key"]: each["Value"] for each in kept}, tags, (n, more))

    def test_versions(self):
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in ("a", "b", "c"):
            ids = [self.put(key, b"%d" % n)["VersionId"] for n in range(3)]
            self.assertEqual(self.get(key, VersionId=ids[0]), b"0")
            self.s3.delete_object(Bucket=self.bucket, Key=key)
            self.fails("NoSuchKey", self.get, key)
            self.assertEqual(self.get(key, VersionId=ids[2]), b"2")
            upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key + " parts")["UploadId"]
            part = self.s3.upload_part(Bucket=self.bucket, Key=key + " parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
            done = self.s3.complete_multipart_upload(Bucket=self.bucket, Key=key + " parts", UploadId=upload,
                                                     MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})["VersionId"]
            self.assertEqual(self.get(key + " parts", VersionId=done), b"x")
            self.s3.delete_object(Bucket=self.bucket, Key=key + " parts", VersionId=done)
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        self.assertEqual([each["Key"] for each in listed["Versions"]], ["a"] * 3 + ["b"] * 3 + ["c"] * 3)
        self.assertEqual([each["Key"] for each in listed["DeleteMarkers"]], ["a", "b", "c"])
        for each in listed["Versions"]:
            self.s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
        self.fails("BucketNotEmpty", self.s3.delete_bucket, Bucket=self.bucket)
        self.s3.head_bucket(Bucket=self.bucket)
        for each in listed["DeleteMarkers"]:
            self.s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
        self.s3.delete_bucket(Bucket=self.bucket)
        self.fails("404", self.s3.head_bucket, Bucket=self.bucket)

    def test_what_is_there_is_not_overwritten_where_that_is_asked(self):
        raw = Raw(self.target)
        for n in range(4):
            self.put(f"k{n}", b"first")
            self.assertEqual(raw.ask("PUT", f"/{self.bucket}/k{n}", {"if-none-match": "*"}, b"second")[0], 412)
            self.assertEqual(self.get(f"k{n}"), b"first")
            self.assertEqual(raw.ask("PUT", f"/{self.bucket}/new{n}", {"if-none-match": "*"}, b"second")[0], 200)
            for source in range(n + 1):  # its own copies, and ends of uploads, would not heed it
                self.assertEqual(raw.ask("PUT", f"/{self.bucket}/k{n}", {"if-none-match": "*", "x-amz-copy-source": f"{self.bucket}/new{source}"})[0], 412)
            upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=f"k{n}")["UploadId"]
            self.assertEqual(raw.ask("POST", f"/{self.bucket}/k{n}?uploadId={upload}", {"if-none-match": "*"}, b"<x/>")[0], 501)
            self.assertEqual(self.get(f"k{n}"), b"first")

    def test_an_object_of_ten_thousand_parts(self):
        bodies = [b"%d|" % n for n in range(1, 10_001)]
        tags = [hashlib.md5(body).hexdigest() for body in bodies]
        whole = hashlib.md5(b"".join(bytes.fromhex(tag) for tag in tags)).hexdigest() + "-10000"
        where = {"Bucket": self.bucket, "Key": "parts"}
        s3 = s3_client(self.target, read_timeout=120)
        upload = s3.create_multipart_upload(**where)["UploadId"]

        def put(numbers):
            session = http.client.HTTPConnection(*self.target, timeout=60)
            for n in numbers:
                target = f"/{self.bucket}/parts?partNumber={n}&uploadId={urllib.parse.quote(upload, safe='')}"
                head = Raw(self.target).head("PUT", target).split(b"\r\n")[1:-1]
                session.request("PUT", target, bodies[n - 1], dict(line.decode().split(": ", 1) for line in head))
                reply = session.getresponse()
                text = reply.read()
                if reply.status != 200:
                    return n, text
            return None
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual([each for each in pool.map(put, [range(n + 1, 10_001, 8) for n in range(8)]) if each], [])
        listed = [part["PartNumber"] for page in s3.get_paginator("list_parts").paginate(**where, UploadId=upload) for part in page["Parts"]]
        self.assertEqual(listed, list(range(1, 10_001)))
        done = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]})
        self.assertEqual(done["ETag"], f'"{whole}"')
        self.assertTrue(s3.get_object(**where)["Body"].read() == b"".join(bodies))


class InBuckets(BlobStory, Case):
    lacks = ("buckets", "long keys", "control characters")

    @classmethod
    def setUpClass(cls):
        cls.ceph = Module.ceph
        urls = [cls.ceph.of("MAIN", "main", "/holder-a/below"), cls.ceph.of("ALT", "alt", "/holder-b")]
        for url, account, secret in zip(urls, ("MAIN", "ALT"), ("main", "alt")):
            s3_client(("127.0.0.1", cls.ceph.port), f"AK{account}{'0' * (16 - len(account))}AA", f"secret{secret}").create_bucket(
                Bucket=url.split("/")[3])
        cls.sheaf = Sheaf(cls, blob_pool([*urls, folder_url(cls, sync="never")]))


class Clients(BlobClients, Case):
    @classmethod
    def setUpClass(cls):
        cls.ceph = Module.ceph
        cls.serve_clients(cls.ceph.urls[:1], [*cls.ceph.urls, folder_url(cls, sync="never")])


if __name__ == "__main__":
    main()
