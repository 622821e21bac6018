#!/usr/bin/python3
# not under tsan: it would take as long there as all else that shares (--long has it)
"""Blob pools over folders: what clients see, who may what, what is on the disk."""
import fcntl
import os
import random
import socket
import subprocess

from lib import *
from lib.blob import *
from lib.case import REPOSITORY


class Folders(BlobStory, Case):
    @classmethod
    def setUpClass(cls):
        cls.sheaf = Sheaf(cls, blob_pool([folder_url(cls) for _ in range(3)]))


class OneFolder(BlobStory, Case):
    @classmethod
    def setUpClass(cls):
        cls.sheaf = Sheaf(cls, blob_pool([folder_url(cls, sync="never")]))


class Rights(Case):
    @classmethod
    def setUpClass(cls):
        cls.sheaf = Sheaf(cls, blob_pool(
            [folder_url(cls) for _ in range(2)],
            access_key=[f"{ID} {SECRET}", "READER s1 buckets=pub* rights=rl", "WRITER s2 buckets=inbox prefixes=in/ rights=w",
                        "DELETER s3 buckets=inbox rights=d", "SORTER s4 buckets=sorted,listed prefixes=in/,also/"],
            public="public-*", region=[f"eu-{n}" for n in range(1, 18)]))
        cls.all = cls.client(ID, SECRET)
        for bucket in ("public-a", "inbox", "private", "sorted", "listed"):
            cls.all.create_bucket(Bucket=bucket)
            cls.all.put_object(Bucket=bucket, Key="o", Body=b"o")

    @classmethod
    def client(cls, key, secret, region="eu-1"):
        host, port = cls.sheaf.target("mail")
        return boto3.client("s3", endpoint_url=f"http://{host}:{port}", aws_access_key_id=key, aws_secret_access_key=secret,
                            region_name=region, config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"},
                                                              signature_version="s3v4"))

    def refused(self, code, function, **arguments):
        with self.assertRaises(ClientError) as caught:
            function(**arguments)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def test_a_reader_reads_his_buckets_and_no_others(self):
        reader = self.client("READER", "s1")
        self.assertEqual(reader.get_object(Bucket="public-a", Key="o")["Body"].read(), b"o")
        self.assertEqual([each["Name"] for each in reader.list_buckets()["Buckets"]], ["public-a"])
        self.refused("AccessDenied", reader.get_object, Bucket="private", Key="o")
        self.refused("AccessDenied", reader.put_object, Bucket="public-a", Key="p", Body=b"x")
        self.refused("AccessDenied", reader.delete_object, Bucket="public-a", Key="o")
        self.refused("AccessDenied", reader.copy_object, Bucket="public-a", Key="p", CopySource="private/o")

    def test_a_writer_writes_below_his_prefix(self):
        writer = self.client("WRITER", "s2")
        writer.put_object(Bucket="inbox", Key="in/a", Body=b"x")
        self.refused("AccessDenied", writer.put_object, Bucket="inbox", Key="out/a", Body=b"x")
        self.refused("AccessDenied", writer.get_object, Bucket="inbox", Key="in/a")
        self.refused("AccessDenied", writer.list_objects_v2, Bucket="inbox", Prefix="in/")
        self.refused("AccessDenied", writer.delete_objects, Bucket="inbox", Delete={"Objects": [{"Key": "in/a"}]})
        self.refused("AccessDenied", writer.put_bucket_acl, Bucket="inbox", ACL="private")
        self.refused("AccessDenied", writer.put_bucket_versioning, Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
        self.refused("AccessDenied", writer.create_bucket, Bucket="inbox")

    def test_who_may_delete_does_nothing_else(self):
        deleter = self.client("DELETER", "s3")
        for key in ("d1", "d2"):
            self.all.put_object(Bucket="inbox", Key=key, Body=b"x")
        upload = {"Bucket": "inbox", "Key": "d1", "UploadId": self.all.create_multipart_upload(Bucket="inbox", Key="d1")["UploadId"]}
        one = {"Bucket": "inbox", "Key": "d1"}
        for function, arguments in ((deleter.get_object, one), (deleter.put_object, one), (deleter.get_object_tagging, one),
                                    (deleter.delete_object_tagging, one), (deleter.create_multipart_upload, one), (deleter.list_parts, upload),
                                    (deleter.abort_multipart_upload, upload), (deleter.list_objects_v2, {"Bucket": "inbox"}),
                                    (deleter.list_object_versions, {"Bucket": "inbox"}), (deleter.list_multipart_uploads, {"Bucket": "inbox"}),
                                    (deleter.list_buckets, {}), (deleter.get_bucket_location, {"Bucket": "inbox"}),
                                    (deleter.create_bucket, {"Bucket": "inbox"}), (deleter.delete_object, {"Bucket": "private", "Key": "o"}),
                                    (deleter.copy_object, {**one, "CopySource": "inbox/d2"})):
            self.refused("AccessDenied", function, **arguments)
        deleter.delete_object(**one)
        self.assertEqual(deleter.delete_objects(Bucket="inbox", Delete={"Objects": [{"Key": "d2"}]})["Deleted"], [{"Key": "d2"}])
        for key in ("d1", "d2"):
            self.refused("NoSuchKey", self.all.get_object, Bucket="inbox", Key=key)
        self.all.abort_multipart_upload(**upload)

    def test_lists_and_many_deletes_are_of_ones_own_prefixes(self):
        sorter, within = self.client("SORTER", "s4"), {"Bucket": "listed"}
        for key in ("in/a", "in/b/c", "also/a", "out/a", "inner"):
            self.all.put_object(**within, Key=key, Body=b"x")
        for lists in (sorter.list_objects, sorter.list_objects_v2, sorter.list_object_versions, sorter.list_multipart_uploads):
            for prefix in ("in/", "in/b", "also/"):
                told = lists(**within, Prefix=prefix)
                if lists in (sorter.list_objects, sorter.list_objects_v2):
                    self.assertTrue(all(each["Key"].startswith(prefix) for each in told["Contents"]))
            for prefix in ("", "in", "out/", "inner", "also"):
                self.refused("AccessDenied", lists, **within, Prefix=prefix)
            self.refused("AccessDenied", lists, **within)
            self.refused("AccessDenied", lists, Bucket="inbox", Prefix="in/")
        told = sorter.delete_objects(**within, Delete={"Objects": [{"Key": key} for key in ("in/a", "out/a", "inner", "also/a")]})
        self.assertEqual([each["Key"] for each in told["Deleted"]], ["in/a", "also/a"])
        self.assertEqual([(each["Key"], each["Code"]) for each in told["Errors"]], [("out/a", "AccessDenied"), ("inner", "AccessDenied")])
        self.assertEqual([each["Key"] for each in self.all.list_objects_v2(**within)["Contents"]], ["in/b/c", "inner", "o", "out/a"])

    def test_parts_are_copied_only_from_where_one_may_read(self):
        sorter, writer = self.client("SORTER", "s4"), self.client("WRITER", "s2")
        for bucket, key in (("sorted", "in/s"), ("sorted", "out/s"), ("inbox", "in/s")):
            self.all.put_object(Bucket=bucket, Key=key, Body=b"x")
        for client, bucket, sources in ((sorter, "sorted", ("private/o", "sorted/out/s", "sorted/in/.sheaf/../../out/s", "inbox/in/s")),
                                        (writer, "inbox", ("inbox/in/s", "public-a/o"))):
            where = {"Bucket": bucket, "Key": "in/whole"}
            where["UploadId"] = client.create_multipart_upload(**where)["UploadId"]
            for source in sources:
                code = "NoSuchKey" if ".." in source else "AccessDenied"  # such a key is below the prefix, and none
                self.refused(code, client.upload_part_copy, **where, PartNumber=1, CopySource=source)
                self.refused(code, client.copy_object, Bucket=bucket, Key="in/copy", CopySource=source)
            self.assertNotIn("Parts", self.all.list_parts(**where))
            if client is sorter:
                client.upload_part_copy(**where, PartNumber=1, CopySource="sorted/in/s")
            client.abort_multipart_upload(**where)

    def test_who_is_taken_out_of_the_configuration_is_known_no_more(self):
        options = {"listen": f"s3://127.0.0.1:{free_port()}", "access_key": [f"{ID} {SECRET}", "GOES s1", "CHANGES s2"]}
        pool = blob_pool([folder_url(self, sync="never")], **options)
        sheaf = Sheaf(self, pool, proxy={"workers": 1})
        goes, changes, anew = (s3_client(sheaf.target("mail"), *each) for each in (("GOES", "s1"), ("CHANGES", "s2"), ("CHANGES", "s3")))
        goes.create_bucket(Bucket="bucket")  # their connections stay
        changes.put_object(Bucket="bucket", Key="k", Body=b"x")
        self.refused("SignatureDoesNotMatch", anew.get_object, Bucket="bucket", Key="k")
        url = goes.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
        self.assertEqual(urllib.request.urlopen(url).read(), b"x")
        pool[1]["access_key"] = [f"{ID} {SECRET}", "CHANGES s3"]
        sheaf.reload(pool)
        wait_until(lambda: sheaf.status()["generation"] == 2, what="the reload")
        self.refused("InvalidAccessKeyId", goes.get_object, Bucket="bucket", Key="k")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(url)
        self.refused("SignatureDoesNotMatch", changes.get_object, Bucket="bucket", Key="k")
        self.assertEqual(anew.get_object(Bucket="bucket", Key="k")["Body"].read(), b"x")

    def test_anyone_reads_what_is_public(self):
        raw = Raw(self.sheaf.target("mail"))
        for method, path, status in (("GET", "/public-a/o", 200), ("HEAD", "/public-a/o", 200), ("GET", "/private/o", 403),
                                     ("PUT", "/public-a/o", 403), ("GET", "/public-a", 403), ("DELETE", "/public-a/o", 403),
                                     ("GET", "/public-a/o?tagging", 403), ("GET", "/public-a/o?acl", 403), ("GET", "/public-a/o?attributes", 403),
                                     ("GET", "/public-a/o?response-content-type=text/html", 400)):
            with raw.connect() as session:
                session.sendall(f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
                self.assertEqual(answer(session, method)[0], status, (method, path))

    def test_another_region_is_told_the_right_one(self):
        with self.assertRaises(ClientError) as caught:
            s3_client(self.sheaf.target("mail")).list_buckets()
        self.assertEqual(caught.exception.response["Error"]["Code"], "AuthorizationHeaderMalformed")
        self.assertIn("eu-1", str(caught.exception))

    def test_as_many_regions_as_are_named_are_signed_for(self):
        for n in (1, 16, 17):
            self.client(ID, SECRET, f"eu-{n}").head_bucket(Bucket="inbox")
        with self.assertRaises(ClientError):
            self.client(ID, SECRET, "eu-18").head_bucket(Bucket="inbox")


class Offered(Case):
    """What S3 has and Sheaf has not is refused by its name: nothing else is done or told in its stead."""
    OFFERED = """ListBuckets CreateBucket HeadBucket DeleteBucket GetBucketLocation GetBucketVersioning PutBucketVersioning
        GetBucketAcl PutBucketAcl ListObjects ListObjectsV2 ListObjectVersions ListMultipartUploads DeleteObjects GetObject
        HeadObject GetObjectAttributes PutObject CopyObject DeleteObject GetObjectTagging PutObjectTagging
        DeleteObjectTagging GetObjectAcl PutObjectAcl CreateMultipartUpload UploadPart UploadPartCopy ListParts
        CompleteMultipartUpload AbortMultipartUpload WriteGetObjectResponse""".split()  # the last is asked of another host
    NEWER = (("bucket", "GET PUT", "abac"), ("bucket", "GET POST DELETE", "metadataConfiguration"),
             ("bucket", "GET POST DELETE", "metadataTable"), ("bucket", "PUT", "metadataInventoryTable"),
             ("bucket", "PUT", "metadataJournalTable"), ("bucket", "PUT", "metadataAnnotationTable"), ("bucket", "GET", "session"),
             ("object", "PUT", "renameObject"), ("object", "PUT", "encryption"),
             ("object", "GET PUT DELETE", "annotation"))  # than the installed model

    def test_each_operation_of_s3_that_there_is_not_says_so(self):
        sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")]), proxy={"workers": 1})
        s3, raw = s3_client(sheaf.target("mail")), Raw(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"kept")
        model = s3.meta.service_model
        self.assertLessEqual(set(self.OFFERED), set(model.operation_names))
        asked = {(where, method, name) for where, methods, name in self.NEWER for method in methods.split()}
        for name in set(model.operation_names) - set(self.OFFERED):
            operation = model.operation_model(name)
            path, _, query = operation.http["requestUri"].partition("?")
            needed = [each.serialization["name"] for key, each in operation.input_shape.members.items()
                      if key in operation.input_shape.required_members and each.serialization.get("location") == "querystring"]
            asked.add(("object" if "{Key" in path else "bucket", operation.http["method"],
                       "&".join([query] + [f"{each}=1" for each in needed])))
        asked.add(("service", "GET", "x-id=ListDirectoryBuckets"))  # which would be ListBuckets without
        self.assertGreater(len(asked), 70)
        for where, method, query in sorted(asked):
            path = {"service": "/", "bucket": "/bucket", "object": "/bucket/k"}[where]
            status, _, text = raw.ask(method, f"{path}?{query}", {"x-amz-rename-source": "/bucket/k"}, b"<A/>" if method in ("PUT", "POST") else b"")
            self.assertEqual((status, b"<Code>NotImplemented<" in text), (501, True), (method, path, query, text))
        self.assertEqual(raw.ask("GET", "/?x-id=ListBuckets")[0], 200)
        self.assertEqual(s3.get_object(Bucket="bucket", Key="k")["Body"].read(), b"kept")


class Readers(Case):
    def test_long_ranges_reach_who_reads_by_bits_and_who_leaves_takes_all_along(self):
        """They go from the file to the client's socket inside the kernel, as far as it has room."""
        sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], unsigned_access="yes"), proxy={"workers": 1})
        s3, body = s3_client(sheaf.target("mail")), random.randbytes(6_000_000)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=body)
        request = b"GET /bucket/k HTTP/1.1\r\nhost: x\r\nrange: bytes=%d-%d\r\nconnection: close\r\n\r\n"
        for first, last in ((0, 5_999_999), (12_345, 5_000_000), (5_999_000, 5_999_999)):
            with socket.socket() as session:
                session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                session.settimeout(30 * SLOW)
                session.connect(sheaf.target("mail"))
                session.sendall(request % (first, last))
                got = bytearray()
                while more := session.recv(2000 if len(got) < 200_000 else 1 << 20):
                    got += more
            self.assertTrue(bytes(got).partition(b"\r\n\r\n")[2] == body[first:last + 1], (first, last))
        before = len(os.listdir(f"/proc/{sheaf.process.pid}/fd"))
        for _ in range(10):
            with socket.create_connection(sheaf.target("mail"), timeout=30 * SLOW) as session:
                session.sendall(request % (0, 5_999_999))
                session.recv(100_000)
        wait_until(lambda: len(os.listdir(f"/proc/{sheaf.process.pid}/fd")) <= before, what="files and pipes to be closed")
        self.assertEqual(s3.get_object(Bucket="bucket", Key="k")["Body"].read(), body)


class Attributes(Case):
    def test_attributes_of_an_object(self):
        sheaf = Sheaf(self, blob_pool([folder_url(self)]))
        s3 = s3_client(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        tag = s3.put_object(Bucket="bucket", Key="k", Body=b"12345", ChecksumAlgorithm="SHA256")["ETag"]
        asked = ["ETag", "Checksum", "ObjectSize", "StorageClass"]
        found = s3.get_object_attributes(Bucket="bucket", Key="k", ObjectAttributes=asked)
        self.assertEqual((found["ETag"], found["ObjectSize"], found["StorageClass"]), (tag.strip('"'), 5, "STANDARD"))
        self.assertEqual(found["Checksum"]["ChecksumSHA256"], base64.b64encode(hashlib.sha256(b"12345").digest()).decode())
        self.assertTrue(found["LastModified"])
        self.assertNotIn("ETag", s3.get_object_attributes(Bucket="bucket", Key="k", ObjectAttributes=["ObjectSize"]))
        with self.assertRaises(ClientError) as caught:
            s3.get_object_attributes(Bucket="bucket", Key="none", ObjectAttributes=asked)
        self.assertEqual(caught.exception.response["Error"]["Code"], "NoSuchKey")


class CopiesOfTags(Case):
    """Between shards as within one: the source's tags, unless others are said."""

    def test_a_copy_has_its_sources_tags_wherever_it_lies(self):
        s3 = s3_client(Sheaf(self, blob_pool([folder_url(self, sync="never") for _ in range(3)])).target("mail"))
        s3.create_bucket(Bucket="bucket")

        def tags(key):
            return {each["Key"]: each["Value"] for each in s3.get_object_tagging(Bucket="bucket", Key=key)["TagSet"]}

        for body in (b"some", b""):
            s3.put_object(Bucket="bucket", Key="source", Body=body, Tagging="a%20b=1%262&c=")
            for n in range(12):
                s3.copy_object(Bucket="bucket", Key=f"copy/{n}", CopySource="bucket/source", Tagging="not=meant")
                self.assertEqual(tags(f"copy/{n}"), {"a b": "1&2", "c": ""})
                self.assertEqual(s3.get_object(Bucket="bucket", Key=f"copy/{n}")["Body"].read(), body)
                s3.copy_object(Bucket="bucket", Key=f"copy/{n}", CopySource="bucket/source", TaggingDirective="REPLACE", Tagging="d=3")
                self.assertEqual(tags(f"copy/{n}"), {"d": "3"})
                s3.copy_object(Bucket="bucket", Key=f"copy/{n}", CopySource="bucket/source", TaggingDirective="REPLACE")
                self.assertEqual(tags(f"copy/{n}"), {})


class BucketsInOne(Case):
    """A shard that is one bucket lists those of clients in it in pages."""

    def test_more_buckets_than_a_page_are_all_listed(self):
        store = Sheaf(self, blob_pool([folder_url(self, sync="never")]))
        inner = s3_client(store.target("mail"))
        inner.create_bucket(Bucket="store")
        names = [f"bucket-{n:04d}" for n in range(1003)]
        for name in names:
            inner.put_object(Bucket="store", Key=f"deep/{name}/k", Body=b"")
        host, port = store.target("mail")
        sheaf = Sheaf(self, blob_pool([f"s3://{ID}:{SECRET}@{host}:{port}/store/deep?region=us-east-1", folder_url(self)]))
        self.assertEqual([each["Name"] for each in s3_client(sheaf.target("mail")).list_buckets()["Buckets"]], names)
        raw, listed, token = Raw(sheaf.target("mail")), [], ""
        while token is not None:  # and by pages that a client asks for
            status, _, text = raw.ask("GET", "/?max-buckets=400&prefix=bucket-0" + (f"&continuation-token={token}" if token else ""))
            page = re.findall(r"<Name>(.*?)</Name>", text.decode())
            token = (re.findall(r"<ContinuationToken>(.*?)<", text.decode()) + [None])[0]
            self.assertEqual((status, len(page) == 400), (200, token is not None))
            listed += page
        self.assertEqual(listed, [name for name in names if name.startswith("bucket-0")])
        for query in ("max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=bucket-0001"):
            self.assertEqual(raw.ask("GET", f"/?{query}")[0], 400, query)


class Sweeps(Case):
    def test_what_dead_processes_left_is_removed_at_the_start(self):
        url = folder_url(self)
        temporary = pathlib.Path(url.removeprefix("file://")) / ".sheaf/tmp"
        dead, alive = temporary / "dead", temporary / "alive"
        for instance in (dead, alive):
            (instance / "upload").mkdir(parents=True)
            for n in range(10):
                (instance / "upload" / str(n)).write_bytes(b"x")
        held = os.open(alive, os.O_RDONLY | os.O_DIRECTORY)
        ends_with(self, os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        sheaf = Sheaf(self, blob_pool([url]))
        wait_until(lambda: not dead.exists(), what=f"the sweep: {sheaf.log}")
        wait_until(lambda: "files of uploads that never ended were removed" in sheaf.log, what="the log to say so")
        self.assertEqual(len(list((alive / "upload").iterdir())), 10)


class Stamps(Case):
    def test_shards_that_changed_places_are_refused(self):
        shards = [folder_url(self) for _ in range(2)]
        sheaf = Sheaf(self, blob_pool(shards))
        s3 = s3_client(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        for n in range(4):
            s3.put_object(Bucket="bucket", Key=f"k{n}", Body=b"x")
        swapped = Sheaf(self, blob_pool(reversed(shards)))
        with self.assertRaises(ClientError) as caught:
            s3_client(swapped.target("mail")).get_object(Bucket="bucket", Key="k0")
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        self.assertIn("shard", caught.exception.response["Error"]["Message"])

class Interval(Case):
    def synced(self):
        """How often the file system was told to write all that it has, so far."""
        return self.syncs.stat().st_size if self.syncs.exists() else 0

    def test_what_was_written_is_synced_within_a_second_whenever_it_began(self):
        library, self.syncs = self.folder() / "syncs.so", self.folder() / "syncs"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, REPOSITORY / "tests/scenario/modules/syncs.c"], check=True)
        sheaf = Sheaf(self, blob_pool([folder_url(self, sync="interval")]), env={"LD_PRELOAD": str(library), "TEST_SYNCS": str(self.syncs)})
        s3, raw = s3_client(sheaf.target("mail")), Raw(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        wait_until(self.synced, what="the bucket to be synced")
        with raw.connect() as session:
            session.sendall(raw.head("PUT", "/bucket/slow") + b"content-length: 4\r\n\r\nsl")
            wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
            s3.put_object(Bucket="bucket", Key="other", Body=b"x")
            before = self.synced()
            wait_until(lambda: self.synced() > before, what="the other to be synced")
            before = self.synced()
            session.sendall(b"ow")
            self.assertEqual(answer(session)[0], 200)
        wait_until(lambda: self.synced() > before, what="the slow one to be synced")
        for change in (lambda: s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/slow"), lambda: s3.delete_object(Bucket="bucket", Key="slow")):
            before = self.synced()
            change()
            wait_until(lambda: self.synced() > before, what="a change without a body to be synced")


if __name__ == "__main__":
    main()
