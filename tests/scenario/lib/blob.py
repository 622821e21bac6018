"""Blob pools: stores behind them, clients before them, and one story that all of them must tell alike."""
import base64
import concurrent.futures
import contextlib
import hashlib
import html
import http.client
import io
import os
import pathlib
import random
import re
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from lib.case import Case, ends_with, wait_until
from lib.ports import free_port, free_ports_in_a_row
from lib.process import run

ID, SECRET = "AKTEST", "secret-of-the-test"
SERVERS = pathlib.Path(__file__).parent.parent / "servers"


def folder_url(owner, **query):
    """A folder for a shard, which goes with its owner."""
    folder = tempfile.TemporaryDirectory(prefix="sheaf-blobs-")
    ends_with(owner, folder.cleanup)
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return f"file://{folder.name}" + (f"?{words}" if words else "")


def blob_pool(shards, name="mail", **options):
    """A blob pool with one access key, and a listener of its own."""
    return (f"blob {name}", {"listen": f"s3://127.0.0.1:{free_port()}", "shard": list(shards),
                             "access_key": f"{ID} {SECRET}", "probe_interval": "100ms", **options})


def s3_client(target, key=ID, secret=SECRET, url=None, verify=None, **config):
    """boto3's client of an endpoint (host, port), or of a URL; it tries each request once."""
    url = url or "http://%s:%d" % target
    settings = {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}, "signature_version": "s3v4",
                "connect_timeout": 10, "read_timeout": 10, "max_pool_connections": 32, **config}
    return boto3.client("s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret,
                        region_name="us-east-1", verify=verify, config=Config(**settings))


class Ceph:
    """Ceph's gateway over a small cluster of its own.  Names of buckets are one world for all accounts but for those of
    another tenant: `urls` are two of those; `of` has one account's bucket, with all others as prefixes in it."""

    def __init__(self, owner):
        self._folder = tempfile.TemporaryDirectory(prefix="sheaf-ceph-")
        ends_with(owner, self._folder.cleanup)
        self.port = free_ports_in_a_row(2)  # the gateway, and the monitor
        ends_with(owner, self._run, "stop")
        self._run("start")
        self.urls = [self.of("MAIN", "main"), self.of("TEN", "ten")]

    def of(self, account, secret, path=""):
        return f"s3://AK{account}{'0' * (16 - len(account))}AA:secret{secret}@127.0.0.1:{self.port}{path}"

    def _run(self, word):
        code, out, err = run(["bash", str(SERVERS / "ceph.sh"), self._folder.name, str(self.port), word], seconds=180,
                             env={"MIN_PART": "1"})
        assert code == 0, out + err


class Swift:
    """OpenStack Swift with s3api: an S3 server as old as those that are still met.  Two accounts are two stores."""

    def __init__(self, owner):
        self._folder = tempfile.TemporaryDirectory(prefix="sheaf-swift-")
        ends_with(owner, self._folder.cleanup)
        self.port = free_ports_in_a_row(5)  # the proxy, three that it asks, and memcached
        ends_with(owner, self._run, "stop")
        self._run("start")
        self.urls = [f"s3://test%3Atester:testing@127.0.0.1:{self.port}",
                     f"s3://test2%3Atester2:testing2@127.0.0.1:{self.port}"]

    def _run(self, *words):
        code, out, err = run(["bash", str(SERVERS / "swift.sh"), self._folder.name, str(self.port), *words], seconds=120)
        assert code == 0, out + err

    def signal(self, server, number):
        """One of its servers: "proxy", "object", "container", "account"."""
        os.kill(int(pathlib.Path(self._folder.name, "run", f"{server}.pid").read_text()), number)

    def again(self, server):
        """Begins one that was killed."""
        self._run("again", server)


class Raw:
    """Requests as no library would send them: signed, with whatever body and framing."""

    def __init__(self, target, key=ID, secret=SECRET):
        self.target = target
        self._credentials = botocore.credentials.Credentials(key, secret)

    def head(self, method, path, headers=(), payload="UNSIGNED-PAYLOAD"):
        """A signed head, without the empty line that ends it."""
        host = "%s:%d" % self.target
        request = botocore.awsrequest.AWSRequest(
            method, f"http://{host}{path}", headers={"host": host, "x-amz-content-sha256": payload, **dict(headers)})
        signer = botocore.auth.S3SigV4Auth(self._credentials, "s3", "us-east-1")
        request.context["payload_signing_enabled"] = True
        signer._should_sha256_sign_payload = lambda request: False
        signer.payload = lambda request: payload
        signer.add_auth(request)
        lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in request.headers.items()]
        return ("\r\n".join(lines) + "\r\n").encode()

    def connect(self, seconds=30):
        session = socket.create_connection(self.target)
        session.settimeout(seconds)
        return session

    def ask(self, method, path, headers=(), body=b"", payload="UNSIGNED-PAYLOAD", length=True):
        """Status, fields, body."""
        head = self.head(method, path, headers, payload)
        if length:
            head += b"content-length: %d\r\n" % len(body)
        with self.connect() as session:
            session.sendall(head + b"\r\n" + body)
            return answer(session, method)


def answer(session, method="GET"):
    reply = http.client.HTTPResponse(session, method=method)
    reply.begin()
    return reply.status, dict((name.lower(), value) for name, value in reply.getheaders()), reply.read()


def post_form(form, body, name="file.bin", behind=(), **more):
    """A form as generate_presigned_post() gives it, with more fields, sent with a file: status, fields, body."""
    parts = [*form["fields"].items(), *more.items(), ("file", (name, body, "application/x-file")), *behind]
    body, kind = urllib3.encode_multipart_formdata(parts)
    return post(form["url"], body, {"Content-Type": kind})


def post(url, body, headers):
    reply = urllib3.PoolManager().request("POST", url, body=body, headers=headers, redirect=False, retries=False)
    return reply.status, dict((name.lower(), value) for name, value in reply.headers.items()), reply.data


def chunked(body, trailer=b"", piece=65536):
    """The framing aws-chunked, unsigned."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + piece]), body[at:at + piece]) for at in range(0, len(body), piece))
    return out + b"0\r\n" + trailer + b"\r\n"


def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))


NASTY = ["a", "a/", "a/b", "a//b", "a/./b", "a/../b", "..", ".", "/", "//", " ", "a b", "a+b", "a%2Fb", "a%b", "%", "ä", "日本",
         "a\u0001b", "&<>\"'", "a?b=c&d", "a#b", "~", "=", ":", "@", "\uffee", "\U0001f600", "x" * 255, "y" * 300, "z/" * 200 + "z",
         "k" * 1024, "a.", "a-", "a!", "A", "\\", "*", "con", "a\nb", "a\rb"]


class BlobStory:
    """What a client can tell of an endpoint, whatever its stores are.  Mixed into a Case that has `sheaf` (a Sheaf)
    and may say what its stores lack: `lacks`, of "tags", "versions", "condition on put", "control characters"."""
    lacks = ()
    bucket_serial = 0

    @property
    def target(self):
        return self.sheaf.target("mail")

    def setUp(self):
        self.s3 = s3_client(self.target)
        BlobStory.bucket_serial += 1
        self.bucket = f"b{os.getpid()}-{BlobStory.bucket_serial}"
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key, body=b"x", **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()

    def keys(self, **more):
        return [each["Key"] for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **more)
                for each in page.get("Contents", [])]

    def fails(self, code, function, *arguments, **more):
        with self.assertRaises(ClientError) as caught:
            function(*arguments, **more)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, str(caught.exception))
        return caught.exception.response

    def test_what_was_put_is_got(self):
        for size in (0, 1, 1024, 65536, 65537, 3_000_000):
            body = random.randbytes(size)
            tag = self.put(f"o{size}", body)["ETag"]
            self.assertEqual(tag, f'"{hashlib.md5(body).hexdigest()}"')
            self.assertEqual(self.get(f"o{size}"), body)
            head = self.s3.head_object(Bucket=self.bucket, Key=f"o{size}")
            self.assertEqual((head["ContentLength"], head["ETag"]), (size, tag))
        self.put("o1", b"other")
        self.assertEqual(self.get("o1"), b"other")

    def test_objects_are_spread_and_listed_as_one(self):
        names = [f"k{n:03}" for n in range(60)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(self.put, names))
        self.assertEqual(self.keys(), names)
        self.assertEqual(self.keys(PaginationConfig={"PageSize": 7}), names)
        self.assertEqual(self.keys(StartAfter="k030"), names[31:])
        old = self.s3.list_objects(Bucket=self.bucket, Marker="k050", MaxKeys=5)
        self.assertEqual([each["Key"] for each in old["Contents"]], names[51:56])
        self.assertTrue(old["IsTruncated"])
        nothing = self.s3.list_objects_v2(Bucket=self.bucket, MaxKeys=0)
        self.assertEqual((nothing["IsTruncated"], nothing["KeyCount"]), (False, 0))
        self.fails("InvalidArgument", self.s3.list_objects_v2, Bucket=self.bucket, ContinuationToken="foreign")

    def test_folders_of_a_delimiter(self):
        for key in ("a/1", "a/2", "b", "c/d/1", "c/e/1", "d"):
            self.put(key)
        page = self.s3.list_objects_v2(Bucket=self.bucket, Delimiter="/")
        self.assertEqual([each["Prefix"] for each in page["CommonPrefixes"]], ["a/", "c/"])
        self.assertEqual([each["Key"] for each in page["Contents"]], ["b", "d"])
        seen = []
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Delimiter="/",
                                                                      PaginationConfig={"PageSize": 1}):
            seen += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
            seen += [each["Key"] for each in page.get("Contents", [])]
        self.assertEqual(seen, ["a/", "b", "c/", "d"])
        page = self.s3.list_objects_v2(Bucket=self.bucket, Delimiter="/", Prefix="c/")
        self.assertEqual([each["Prefix"] for each in page["CommonPrefixes"]], ["c/d/", "c/e/"])

    def test_any_key_is_legal(self):
        keys = [key for key in NASTY if ("control characters" not in self.lacks or key.isprintable())
                and ("long keys" not in self.lacks or len(key) < 900)]
        for key in keys:
            self.put(key, key.encode())
        for key in keys:
            self.assertEqual(self.get(key), key.encode(), key)
        self.assertEqual(self.keys(), sorted(keys, key=lambda key: key.encode()))
        plain = [key for key in keys if key.isprintable()]  # XML cannot say the others
        deleted = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in plain]})
        self.assertEqual([each["Key"] for each in deleted["Deleted"]], plain)
        for key in set(keys) - set(plain):
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.assertEqual(self.keys(), [])

    def test_a_browser_uploads_a_form(self):
        for size in (0, 5, 3_000_000):
            body = random.randbytes(size)
            form = self.s3.generate_presigned_post(
                self.bucket, f"forms/{size}/${{filename}}", Fields={"Content-Type": "text/x", "x-amz-meta-a": "1"},
                Conditions=[{"Content-Type": "text/x"}, {"x-amz-meta-a": "1"}, ["content-length-range", 0, 5_000_000]])
            status, fields, _ = post_form(form, body, "C:\\temp\\a b.bin")
            self.assertEqual((status, fields["etag"]), (204, f'"{hashlib.md5(body).hexdigest()}"'))
            self.assertEqual(self.get(f"forms/{size}/a b.bin"), body)
            head = self.s3.head_object(Bucket=self.bucket, Key=f"forms/{size}/a b.bin")
            self.assertEqual((head["ContentType"], head["Metadata"]), ("text/x", {"a": "1"}))

    def test_what_is_not_there(self):
        self.fails("NoSuchKey", self.get, "none")
        self.fails("404", self.s3.head_object, Bucket=self.bucket, Key="none")
        self.s3.delete_object(Bucket=self.bucket, Key="none")
        if "buckets" not in self.lacks:
            self.fails("NoSuchBucket", self.s3.list_objects_v2, Bucket="no-such-bucket")
            self.fails("NoSuchBucket", self.s3.put_object, Bucket="no-such-bucket", Key="a", Body=b"x")
            self.fails("404", self.s3.head_bucket, Bucket="no-such-bucket")

    def test_ranges_and_conditions(self):
        self.put("r", b"0123456789")
        self.assertEqual(self.get("r", Range="bytes=2-4"), b"234")
        self.assertEqual(self.get("r", Range="bytes=7-"), b"789")
        self.assertEqual(self.get("r", Range="bytes=-3"), b"789")
        self.fails("InvalidRange", self.get, "r", Range="bytes=10-")
        tag = self.s3.head_object(Bucket=self.bucket, Key="r")["ETag"]
        self.fails("304", self.get, "r", IfNoneMatch=tag)
        self.fails("PreconditionFailed", self.get, "r", IfMatch='"0"')
        self.assertEqual(self.get("r", IfMatch=tag), b"0123456789")

    def test_what_is_kept_with_an_object(self):
        self.put("m", b"m", Metadata={"colour": "blue  green"}, ContentType="text/plain", CacheControl="no-cache",
                 ContentDisposition="inline", ContentEncoding="gzip")
        head = self.s3.head_object(Bucket=self.bucket, Key="m")
        self.assertEqual(head["Metadata"], {"colour": "blue  green"})
        self.assertEqual((head["ContentType"], head["ContentEncoding"], head["ContentDisposition"]),
                         ("text/plain", "gzip", "inline"))
        if "tags" in self.lacks:
            return
        self.put("t", b"t", Tagging="a=1&b=2")
        self.assertEqual(self.s3.get_object_tagging(Bucket=self.bucket, Key="t")["TagSet"],
                         [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.s3.put_object_tagging(Bucket=self.bucket, Key="t", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
        self.assertEqual(self.s3.get_object_tagging(Bucket=self.bucket, Key="t")["TagSet"], [{"Key": "c", "Value": "3"}])
        self.s3.delete_object_tagging(Bucket=self.bucket, Key="t")
        self.assertEqual(self.s3.get_object_tagging(Bucket=self.bucket, Key="t")["TagSet"], [])

    def test_copies_within_and_across_shards(self):
        body = random.randbytes(300_000)
        self.put("source", body, Metadata={"a": "1"}, ContentType="text/x")
        for n in range(6):
            where = {"Bucket": self.bucket, "Key": f"copy{n}"}
            self.s3.copy_object(**where, CopySource={"Bucket": self.bucket, "Key": "source"})
            self.assertEqual(self.get(f"copy{n}"), body)
            head = self.s3.head_object(**where)
            self.assertEqual((head["Metadata"], head["ContentType"]), ({"a": "1"}, "text/x"))
            self.s3.copy_object(**where, CopySource={"Bucket": self.bucket, "Key": "source"}, MetadataDirective="REPLACE",
                                Metadata={"b": "2"}, ContentType="text/y")
            head = self.s3.head_object(**where)
            self.assertEqual((head["Metadata"], head["ContentType"]), ({"b": "2"}, "text/y"))
            self.fails("NoSuchKey", self.s3.copy_object, **where, CopySource={"Bucket": self.bucket, "Key": "none"})
        self.put("odd %25 key", b"odd")
        for n in range(4):
            self.s3.copy_object(Bucket=self.bucket, Key=f"of-odd{n}", CopySource={"Bucket": self.bucket, "Key": "odd %25 key"})
            self.assertEqual(self.get(f"of-odd{n}"), b"odd")

    def test_uploads_are_listed_page_by_page(self):
        keys = [f"pages/{n % 5}" for n in range(8)]
        begun = {self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]: key for key in keys}
        seen, markers, more = [], {}, True
        while more:
            page = self.s3.list_multipart_uploads(Bucket=self.bucket, Prefix="pages/", MaxUploads=3, **markers)
            seen += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            more = page["IsTruncated"]
            markers = {"KeyMarker": page.get("NextKeyMarker", ""), "UploadIdMarker": page.get("NextUploadIdMarker", "")}
        for upload, key in begun.items():
            self.s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        self.assertEqual([key for key, _ in seen], sorted(keys))
        self.assertEqual(sorted(upload for _, upload in seen), sorted(begun))

    def test_lists_tell_owners_where_amazon_does(self):
        keys = [f"owned/{n}" for n in range(8)]
        for key in keys:
            self.put(key, b"x")
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key="owned/upload")["UploadId"]
        where = {"Bucket": self.bucket, "Prefix": "owned/"}
        for name, listed in (("V1", self.s3.list_objects(**where)["Contents"]),
                             ("V2 with owners", self.s3.list_objects_v2(**where, FetchOwner=True)["Contents"]),
                             ("versions", self.s3.list_object_versions(**where)["Versions"]),
                             ("uploads", self.s3.list_multipart_uploads(**where)["Uploads"]),
                             ("parts", [self.s3.list_parts(Bucket=self.bucket, Key="owned/upload", UploadId=upload)])):
            self.assertEqual([each["Key"] for each in listed], ["owned/upload"] if name in ("uploads", "parts") else keys)
            self.assertTrue(all(each["Owner"]["ID"] and each.get("Initiator", each["Owner"])["ID"] for each in listed), (name, listed))
        self.assertFalse(any("Owner" in each for each in self.s3.list_objects_v2(**where)["Contents"]))
        self.s3.abort_multipart_upload(Bucket=self.bucket, Key="owned/upload", UploadId=upload)

    def test_multipart_uploads(self):
        parts = [random.randbytes(5 * 1024 * 1024), random.randbytes(100_000)]
        where = {"Bucket": self.bucket, "Key": "big/object"}
        upload = self.s3.create_multipart_upload(**where, Metadata={"a": "1"})["UploadId"]
        done = [{"PartNumber": n, "ETag": self.s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
                for n, body in enumerate(parts, 1)]
        self.assertEqual([each["PartNumber"] for each in self.s3.list_parts(**where, UploadId=upload)["Parts"]], [1, 2])
        listed = self.s3.list_multipart_uploads(Bucket=self.bucket)["Uploads"]
        self.assertEqual([(each["Key"], each["UploadId"]) for each in listed], [("big/object", upload)])
        self.fails("NoSuchKey", self.get, "big/object")
        self.fails("InvalidPart", self.s3.complete_multipart_upload, **where, UploadId=upload,
                   MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]})
        self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
        self.assertEqual(self.get("big/object"), b"".join(parts))
        self.assertEqual(self.s3.head_object(**where)["Metadata"], {"a": "1"})
        second = self.s3.create_multipart_upload(**where)["UploadId"]
        self.s3.abort_multipart_upload(**where, UploadId=second)
        self.fails("NoSuchUpload", self.s3.list_parts, **where, UploadId=second)
        self.fails("NoSuchUpload", self.s3.upload_part, **where, UploadId="foreign", PartNumber=1, Body=b"x")

    def test_parts_copied_across_shards(self):
        body = random.randbytes(6 * 1024 * 1024)
        self.put("source", body)
        for n in range(3):
            where = {"Bucket": self.bucket, "Key": f"put-together{n}"}
            upload = self.s3.create_multipart_upload(**where)["UploadId"]
            done = []
            for number, (first, last) in enumerate(((0, 5 * 1024 * 1024 - 1), (5 * 1024 * 1024, len(body) - 1)), 1):
                copied = self.s3.upload_part_copy(**where, UploadId=upload, PartNumber=number,
                                                  CopySource={"Bucket": self.bucket, "Key": "source"},
                                                  CopySourceRange=f"bytes={first}-{last}")
                done.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
            self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
            self.assertEqual(self.get(f"put-together{n}"), body)

    def test_buckets(self):
        if "buckets" not in self.lacks:
            self.assertIn(self.bucket, [each["Name"] for each in self.s3.list_buckets()["Buckets"]])
        self.s3.head_bucket(Bucket=self.bucket)
        self.s3.get_bucket_location(Bucket=self.bucket)
        self.put("a")
        self.fails("BucketNotEmpty", self.s3.delete_bucket, Bucket=self.bucket)
        self.s3.delete_object(Bucket=self.bucket, Key="a")
        self.s3.delete_bucket(Bucket=self.bucket)
        if "buckets" not in self.lacks:
            self.fails("404", self.s3.head_bucket, Bucket=self.bucket)

    def test_presigned_urls(self):
        def url(what):
            return self.s3.generate_presigned_url(what, Params={"Bucket": self.bucket, "Key": "pre signed/ü+x"})
        urllib.request.urlopen(urllib.request.Request(url("put_object"), data=b"data", method="PUT"))
        self.assertEqual(urllib.request.urlopen(url("get_object")).read(), b"data")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url("get_object").replace("pre", "pro"))
        self.assertEqual(caught.exception.code, 403)

    def test_chunks_with_a_trailer_in_both_framings(self):
        raw = Raw(self.target)
        body = random.randbytes(200_000)
        headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body)),
                   "x-amz-trailer": "x-amz-checksum-crc32"}
        coded = chunked(body, b"x-amz-checksum-crc32:" + crc32(body) + b"\r\n")
        kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        self.assertEqual(raw.ask("PUT", f"/{self.bucket}/c1", headers, coded, kind)[0], 200)
        self.assertEqual(self.get("c1"), body)
        nested = b"".join(b"%x\r\n%s\r\n" % (len(coded[at:at + 7777]), coded[at:at + 7777])
                          for at in range(0, len(coded), 7777)) + b"0\r\n\r\n"
        self.assertEqual(raw.ask("PUT", f"/{self.bucket}/c2", {**headers, "transfer-encoding": "chunked"}, nested, kind,
                                 length=False)[0], 200)
        self.assertEqual(self.get("c2"), body)
        self.assertNotIn("ContentEncoding", self.s3.head_object(Bucket=self.bucket, Key="c2"))
        wrong = chunked(body, b"x-amz-checksum-crc32:" + crc32(b"other") + b"\r\n")
        status, _, text = raw.ask("PUT", f"/{self.bucket}/c3", headers, wrong, kind)
        self.assertEqual(status, 400)
        self.assertIn(b"BadDigest", text)
        self.fails("NoSuchKey", self.get, "c3")

    def test_what_is_declared_wrongly_is_not_kept(self):
        raw = Raw(self.target)
        body = random.randbytes(100_000)
        for headers, payload, code in (
                ({"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, "UNSIGNED-PAYLOAD", b"BadDigest"),
                ({"x-amz-checksum-crc32": crc32(b"other").decode()}, "UNSIGNED-PAYLOAD", b"BadDigest"),
                ({"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"other").digest()).decode()}, "UNSIGNED-PAYLOAD",
                 b"BadDigest"),
                ({}, hashlib.sha256(b"other").hexdigest(),
                 b"BadDigest" if "names of digests" in self.lacks else b"XAmzContentSHA256Mismatch")):
            status, _, text = raw.ask("PUT", f"/{self.bucket}/wrong", headers, body, payload)
            self.assertEqual(status, 400, text)
            self.assertIn(code, text)
            self.fails("NoSuchKey", self.get, "wrong")
        self.assertEqual(raw.ask("PUT", f"/{self.bucket}/right", {"x-amz-checksum-crc32": crc32(body).decode()}, body)[0], 200)
        self.assertEqual(self.get("right"), body)

    def test_an_upload_that_ends_early_leaves_nothing(self):
        raw = Raw(self.target)
        head = raw.head("PUT", f"/{self.bucket}/early") + b"content-length: 1000000\r\n\r\n"
        self.put("early", b"before")
        with raw.connect() as session:
            session.sendall(head + b"x" * 400_000)
        with raw.connect() as session:
            session.sendall(head + b"x" * 999_999)
            session.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                session.recv(1)
        self.assertEqual(self.get("early"), b"before")

    def test_who_waits_for_continue_hears_of_refusals_first(self):
        raw = Raw(self.target)
        expects = b"content-length: 100000\r\nexpect: 100-continue\r\n\r\n"
        with raw.connect() as session:
            session.sendall(Raw(self.target, secret="wrong").head("PUT", f"/{self.bucket}/e") + expects)
            status, fields, _ = answer(session, "PUT")
            self.assertEqual((status, fields["connection"]), (403, "close"))
        with raw.connect() as session:
            session.sendall(raw.head("PUT", f"/{self.bucket}/e") + expects)
            self.assertEqual(session.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            session.sendall(b"y" * 100_000)
            self.assertEqual(answer(session, "PUT")[0], 200)
        self.assertEqual(self.get("e"), b"y" * 100_000)

    def test_a_refusal_is_read_though_the_body_is_pushed_anyway(self):
        self.fails("SignatureDoesNotMatch", s3_client(self.target, secret="wrong").put_object, Bucket=self.bucket, Key="x",
                   Body=b"x" * 20_000_000)
        self.fails("InvalidAccessKeyId", s3_client(self.target, key="nobody").list_buckets)

    def test_our_own_names_are_nobodys(self):
        self.assertNotIn(".sheaf", str(self.s3.list_objects_v2(Bucket=self.bucket)))
        self.fails("AccessDenied", self.get, ".sheaf/stamp")
        self.fails("AccessDenied", self.put, ".sheaf/stamp", b"x")

    def test_errors_are_told_with_code_message_resource_and_request(self):
        raw = Raw(self.target)
        asked = [("GET", "/k%20%26", {}, "NoSuchKey"), ("PUT", "/k?partNumber=1&uploadId=none", {}, "NoSuchUpload"),
                 ("PUT", "/k", {"x-amz-copy-source": f"/{self.bucket}/none"}, "NoSuchKey"), ("GET", "/k?policy", {}, "NotImplemented"),
                 ("POST", "?delete", {}, "MalformedXML")]
        if "buckets" not in self.lacks:
            asked += [(method, path, {}, "NoSuchBucket") for method, path in (
                ("GET", "?location"), ("GET", "?list-type=2"), ("GET", "/k"), ("PUT", "/k"), ("POST", "/k?uploads"), ("DELETE", ""))]
        for method, path, fields, code in asked:
            with self.subTest(method=method, path=path, code=code):
                bucket = "none-of-ours" if code == "NoSuchBucket" else self.bucket
                status, fields, text = raw.ask(method, f"/{bucket}{path}", fields)
                self.assertGreaterEqual(status, 400)
                told = dict(re.findall(r"<(Code|Message|Resource|RequestId|BucketName)>([^<]+)<", text.decode()))
                self.assertEqual((told["Code"], told["RequestId"]), (code, fields["x-amz-request-id"]), text)
                self.assertTrue(told["Message"], text)
                self.assertEqual(*(urllib.parse.unquote(html.unescape(each)) for each in (told["Resource"], f"/{bucket}{path.split('?')[0]}")))
                self.assertEqual(told.get("BucketName", bucket), bucket)

    def test_what_is_not_offered_says_so(self):
        self.fails("NotImplemented", self.s3.get_bucket_policy, Bucket=self.bucket)
        self.fails("NotImplemented", self.s3.get_bucket_cors, Bucket=self.bucket)

    def test_requests_in_a_row_on_one_connection(self):
        raw = Raw(self.target)
        self.put("p", b"pipelined")
        with raw.connect() as session:
            session.sendall((raw.head("GET", f"/{self.bucket}/p") + b"\r\n") * 20)
            got = b""
            while got.count(b"pipelined") < 20:
                piece = session.recv(65536)
                self.assertTrue(piece, got[-200:])
                got += piece
            self.assertEqual(got.count(b"HTTP/1.1 200 OK"), 20)
