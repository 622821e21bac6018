#!/usr/bin/python3
# not under tsan: what is shared are the threads of folders, which other tests of blob pools have
"""Blob pools over servers that speak S3: here other Sheafs over folders, with faults between."""
import functools
import threading
import time

from lib import *
from lib.blob import *
from lib.blob_stages import XML, Store
from lib.sigv4 import EMPTY
from lib.sigv4 import Signed as Signature


def store(owner, **options):
    """An S3 server that is quick to start; its URL as a shard."""
    sheaf = Sheaf(owner, blob_pool([folder_url(owner, sync="never")], **options), proxy={"workers": 1})
    return sheaf


def url_of(sheaf, path=""):
    host, port = sheaf.target("mail")
    return f"s3://{ID}:{SECRET}@{host}:{port}{path}"


class Servers(BlobStory, Case):
    @classmethod
    def setUpClass(cls):
        cls.stores = [store(cls) for _ in range(2)]
        # A Sheaf keeps its own names to itself, so it takes no stamp of another.
        cls.sheaf = Sheaf(cls, blob_pool([url_of(each) for each in cls.stores], stamp="no"))


class InOneBucket(BlobStory, Case):
    """All buckets of clients are prefixes in one of each server's."""
    lacks = ("buckets", "long keys")

    @classmethod
    def setUpClass(cls):
        cls.stores = [store(cls) for _ in range(2)]
        for each in cls.stores:
            s3_client(each.target("mail")).create_bucket(Bucket="holder")
        cls.sheaf = Sheaf(cls, blob_pool([url_of(each, "/holder/below/here") for each in cls.stores]))


class Mixed(BlobStory, Case):
    @classmethod
    def setUpClass(cls):
        cls.store = store(cls)
        cls.sheaf = Sheaf(cls, blob_pool([url_of(cls.store), folder_url(cls), folder_url(cls)], stamp="no"))


def answer_of(stream):
    """Status and body of an answer that has a length, of several on a connection."""
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline().strip()):
        name, _, value = line.lower().partition(b": ")
        length = int(value) if name == b"content-length" else length
    return status, stream.read(length)


class Faulty(Case):
    def setUp(self):
        self.stores = [store(self) for _ in range(2)]
        self.wire = Faults(self, self.stores[0].target("mail"))
        self.serve()
        self.s3.create_bucket(Bucket="bucket")
        for n in range(20):
            self.s3.put_object(Bucket="bucket", Key=f"k{n}", Body=b"x" * n)
        held = [[each["Key"] for each in s3_client(each.target("mail")).list_objects_v2(Bucket="bucket")["Contents"]
                 if not each["Key"].startswith(".sheaf")] for each in self.stores]
        self.of_first, self.of_second = held
        self.assertEqual(len(self.of_first) + len(self.of_second), 20)

    def serve(self, **options):
        self.sheaf = Sheaf(self, blob_pool([f"s3://{ID}:{SECRET}@{self.wire.address}", url_of(self.stores[1])],
                                           probe="no", stamp="no", **options))
        self.s3 = s3_client(self.sheaf.target("mail"), read_timeout=60)

    def refused(self, function, **arguments):
        """The answer to a request that its shard could not serve: it names the shard."""
        with self.assertRaises(ClientError) as caught:
            function(**arguments)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        self.assertIn(self.wire.address, str(caught.exception))
        return caught.exception.response

    def test_a_dead_store_is_nobody_elses_trouble(self):
        self.stores[0].terminate()
        self.stores[0].wait()
        self.refused(self.s3.get_object, Bucket="bucket", Key=self.of_first[0])
        self.refused(self.s3.put_object, Bucket="bucket", Key=self.of_first[0], Body=b"y" * 3_000_000)
        self.refused(self.s3.list_objects_v2, Bucket="bucket")
        for key in self.of_second:
            self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x" * int(key[1:]))
        deleted = self.s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": f"k{n}"} for n in range(20)]})
        self.assertEqual(sorted(each["Key"] for each in deleted["Deleted"]), sorted(self.of_second))
        self.assertEqual(sorted(each["Key"] for each in deleted["Errors"]), sorted(self.of_first))

    def test_of_who_waits_for_continue_a_dead_store_wants_no_body(self):
        probed = Sheaf(self, blob_pool([url_of(each) for each in self.stores], stamp="no", fall=1))
        self.stores[0].terminate()
        self.stores[0].wait()
        wait_until(lambda: probed.status()["pools"][0]["shards"][0]["health"]["state"] == "down", what="the store to be known as down")
        for sheaf in (self.sheaf, probed):  # the one has yet to find out
            raw = Raw(sheaf.target("mail"))
            with raw.connect() as session:
                session.sendall(raw.head("PUT", f"/bucket/{self.of_first[0]}") + b"content-length: 3000000\r\nexpect: 100-continue\r\n\r\n")
                self.assertEqual(session.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL), b"HTTP/1.1 503")
                self.assertIn(b"<Code>SlowDown<", answer(session, "PUT")[2])

    def test_a_list_that_lacks_a_shard_says_so_where_that_is_allowed(self):
        self.serve(reads_while_shard_down="partial")

        def page(function):
            listed = function(Bucket="bucket")
            return ([each["Key"] for each in listed.get("Contents", listed.get("Versions", [])) if not each["Key"].startswith(".sheaf")],
                    "x-sheaf-incomplete" in listed["ResponseMetadata"]["HTTPHeaders"])
        lists = (self.s3.list_objects, self.s3.list_objects_v2, self.s3.list_object_versions)
        for function in lists:
            self.assertEqual(page(function), (sorted(self.of_first + self.of_second), False))
        self.stores[0].terminate()
        self.stores[0].wait()
        for function in lists:
            self.assertEqual(page(function), (self.of_second, True))
        buckets = self.s3.list_buckets()
        self.assertEqual(([each["Name"] for each in buckets["Buckets"]], buckets["ResponseMetadata"]["HTTPHeaders"].get("x-sheaf-incomplete")),
                         (["bucket"], "a shard did not answer"))
        self.refused(self.s3.get_object, Bucket="bucket", Key=self.of_first[0])
        self.stores[1].terminate()
        self.stores[1].wait()
        for function in (functools.partial(self.s3.list_objects_v2, Bucket="bucket"), self.s3.list_buckets):
            with self.assertRaises(ClientError) as caught:  # nothing is no part
                function()
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)

    def test_a_silent_store_is_waited_for_so_long_and_no_longer(self):
        self.serve(timeout="1s")
        self.wire.black_hole = True
        self.refused(self.s3.get_object, Bucket="bucket", Key=self.of_first[0])
        self.wire.black_hole = False
        wait_until(lambda: self.served(self.of_first[0]), what="the store to serve again")

    def served(self, key):
        try:
            return self.s3.get_object(Bucket="bucket", Key=key)
        except ClientError:
            return None

    def test_a_download_that_breaks_never_looks_whole(self):
        body = random.randbytes(4_000_000)
        key = self.of_first[0]
        self.s3.put_object(Bucket="bucket", Key=key, Body=body)
        self.wire.cut_after = 1_000_000
        with self.assertRaises(Exception):
            self.s3.get_object(Bucket="bucket", Key=key)["Body"].read()
        self.wire.cut_after = None
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), body)

    def test_answers_in_single_bytes(self):
        self.wire.one_byte = True
        for key in self.of_first[:3]:
            self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x" * int(key[1:]))

    def test_an_answer_that_is_no_http(self):
        self.wire.garbage = b"SSH-2.0-OpenSSH_9.2\r\n\r\n"
        self.refused(self.s3.get_object, Bucket="bucket", Key=self.of_first[0])
        wait_until(lambda: self.served(self.of_first[0]), what="the store to serve again")

    def test_connections_that_the_store_closed_meanwhile_are_no_errors(self):
        for _ in range(3):
            for key in self.of_first:
                self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x" * int(key[1:]))
            self.wire.close()
            self.wire.open()

    def test_a_client_that_leaves_takes_its_upload_along(self):
        raw = Raw(self.sheaf.target("mail"))
        key = self.of_first[0]
        head = raw.head("PUT", f"/bucket/{key}") + b"content-length: 5000000\r\n\r\n"
        with raw.connect() as session:
            session.sendall(head + b"y" * 2_000_000)
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x" * int(key[1:]))

    def test_a_client_that_does_not_read_costs_little(self):
        body = random.randbytes(32_000_000)
        key = self.of_first[0]
        self.s3.put_object(Bucket="bucket", Key=key, Body=body)
        raw = Raw(self.sheaf.target("mail"))
        sessions = [raw.connect(60) for _ in range(4)]
        for session in sessions:
            session.sendall(raw.head("GET", f"/bucket/{key}") + b"\r\n")
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key=self.of_second[0])["Body"].read(),
                         b"x" * int(self.of_second[0][1:]))
        status, _, got = answer(sessions[0])
        self.assertEqual((status, got), (200, body))
        for session in sessions:
            session.close()

    def test_long_bodies_go_by_whole(self):
        """Around the sizes from which on they are not looked at, and with hashes, for which they are."""
        raw = Raw(self.sheaf.target("mail"))
        key = self.of_first[0]
        for size in (16_384, 32_767, 32_768, 32_769, 49_152, 65_537, 262_145, 1_048_577, 9_000_001):
            body = random.randbytes(size)
            for headers in ({}, {"x-amz-checksum-crc32": crc32(body).decode()},
                            {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode()}):
                self.assertEqual(raw.ask("PUT", f"/bucket/{key}", headers, body)[0], 200, size)
                self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), body)
            wrong = {"x-amz-checksum-crc32": crc32(body[:-1] + bytes([body[-1] ^ 1])).decode()}
            self.assertEqual(raw.ask("PUT", f"/bucket/{key}", wrong, body)[0], 400, size)
            self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), body)

    def test_of_uploads_at_once_each_is_verified_for_itself(self):
        """Their hashes are computed two at a time, of whichever has come; some lie, and some leave."""
        raw = Raw(self.sheaf.target("mail"))
        uploads = []
        for n, key in enumerate((self.of_first + self.of_second)[:12]):
            body = random.randbytes(random.randrange(500_000, 1_500_000))
            right = base64.b64encode(hashlib.sha256(body).digest()).decode()
            wrong = base64.b64encode(hashlib.sha256(body[:-1]).digest()).decode()
            session, kind = raw.connect(), ("honest", "lies", "honest", "leaves")[n % 4]
            session.sendall(raw.head("PUT", f"/bucket/{key}", {"x-amz-checksum-sha256": wrong if kind == "lies" else right}) +
                            b"content-length: %d\r\n\r\n" % len(body))
            uploads.append((key, kind, session, memoryview(body)))
        under_way = [(kind, session, body) for _, kind, session, body in uploads]
        while under_way:
            kind, session, body = under_way.pop(random.randrange(len(under_way)))
            size = random.choice((100, 20_000, 40_000, 300_000))
            if kind == "leaves" and len(body) < 400_000:
                session.close()
                continue
            session.sendall(body[:size])
            if len(body) > size:
                under_way.append((kind, session, body[size:]))
        for key, kind, session, body in uploads:
            before = b"x" * int(key[1:])
            if kind != "leaves":
                self.assertEqual(answer(session, "PUT")[0], 400 if kind == "lies" else 200, key)
                session.close()
            got = self.s3.get_object(Bucket="bucket", Key=key)["Body"].read()
            self.assertTrue(got == (body if kind == "honest" else before), (key, kind))

    def test_answers_and_requests_one_behind_the_other_stay_so(self):
        """Pipelined, on one connection: what goes by keeps its place between what does not."""
        raw = Raw(self.sheaf.target("mail"))
        keys = [self.of_first[0], self.of_second[0], self.of_first[1]]
        bodies = [random.randbytes(size) for size in (3_000_001, 5, 700_000)]
        with raw.connect() as session:
            said = b"".join(raw.head("PUT", f"/bucket/{key}") + b"content-length: %d\r\n\r\n" % len(body) + body
                            for key, body in zip(keys, bodies))
            asked = b"".join(raw.head("GET", f"/bucket/{key}") + b"\r\n" for key in keys)
            threading.Thread(target=session.sendall, args=(said + asked,)).start()
            with session.makefile("rb") as stream:
                got = [answer_of(stream) for _ in range(6)]
        self.assertEqual([status for status, _ in got], [200] * 6)
        self.assertEqual([body for _, body in got[3:]], bodies)

    def test_many_clients_at_once(self):
        bodies = {f"many{n}": random.randbytes(random.randrange(200_000)) for n in range(60)}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: self.s3.put_object(Bucket="bucket", Key=key, Body=bodies[key]), bodies))
            got = list(pool.map(lambda key: self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), bodies))
        self.assertEqual(got, list(bodies.values()))


class Signed(Case):
    """What a request to a store says that it signs."""

    def test_a_store_is_told_the_hash_that_the_client_told_and_else_none(self):
        heard = Store(self, lambda *_: (200, {"etag": '"e"', **XML}, b"<DeleteResult/>"))
        sheaf = Sheaf(self, blob_pool([heard.url], stamp="no", probe="no"), proxy={"workers": 1})
        raw, body = Raw(sheaf.target("mail")), random.randbytes(100_000)
        digest, unsigned = hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"
        framing = {"x-amz-decoded-content-length": "100000", "x-amz-trailer": "x-amz-checksum-crc32"}
        coded, kind = chunked(body, b"x-amz-checksum-crc32:" + crc32(body) + b"\r\n"), "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        for method, path, fields, sent, payload, told in (
                ("PUT", "/bucket/k", {}, body, digest, digest), ("PUT", "/bucket/k", {}, body, unsigned, unsigned),
                ("PUT", "/bucket/k", framing, coded, kind, unsigned),
                ("GET", "/bucket/k", {}, b"", unsigned, unsigned), ("GET", "/bucket/k", {}, b"", EMPTY, unsigned),
                ("HEAD", "/bucket/k", {}, b"", unsigned, unsigned), ("DELETE", "/bucket/k", {}, b"", unsigned, EMPTY)):
            with self.subTest(method=method, payload=payload):
                raw.ask(method, path, fields, sent, payload)
                self.assertEqual((heard.asked[-1][0], heard.asked[-1][2]["x-amz-content-sha256"]), (method, told))
                self.assertTrue(heard.asked[-1][3] == (body if sent else b""))
        s3_client(sheaf.target("mail")).delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "k"}]})  # a body of our own
        self.assertEqual(heard.asked[-1][2]["x-amz-content-sha256"], hashlib.sha256(heard.asked[-1][3]).hexdigest())
        request = Signature("PUT", "/bucket/k", [("x-amz-decoded-content-length", "100000")], "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                            host="%s:%d" % sheaf.target("mail"), key=ID, secret=SECRET)
        with raw.connect() as session:
            coded = request.chunks(body)
            session.sendall(request.head + b"content-length: %d\r\n\r\n" % len(coded) + coded)
            self.assertEqual(answer(session, "PUT")[0], 200)
        self.assertEqual((heard.asked[-1][2]["x-amz-content-sha256"], heard.asked[-1][3] == body), (unsigned, True))

    def test_a_shard_is_signed_for_its_own_region(self):
        heard = Store(self, lambda *_: (200, {"etag": '"e"'}, b""))
        strict = store(self, region="eu-9")
        sheaf = Sheaf(self, blob_pool([f"{heard.url}?region=eu-9", url_of(strict, "?region=eu-9"), url_of(strict, "/holder?region=us-east-1")],
                                      stamp="no", probe="no"), proxy={"workers": 1})
        raw = Raw(sheaf.target("mail"))
        keys = {place[3]: place[0] for place in sheaf.route(*(f"k{n}" for n in range(30)), name="mail")}
        for method in ("GET", "PUT"):
            self.assertEqual(raw.ask(method, f"/bucket/{keys['0']}")[0], 200)
            self.assertRegex(heard.asked[-1][2]["authorization"], r"Credential=STORE/\d{8}/eu-9/s3/aws4_request,")
        self.assertEqual(raw.ask("GET", f"/bucket/{keys['1']}")[0], 404)  # it takes the signature
        status, _, text = raw.ask("GET", f"/bucket/{keys['2']}")
        self.assertEqual((status, b"AuthorizationHeaderMalformed" in text), (503, True), text)


class Uploads(Case):
    """One that was begun under another map is nobody's: its parts could lie elsewhere than its object is looked for."""

    def test_with_a_shard_put_in_between_it_is_refused_and_goes_on_without(self):
        shards = [folder_url(self, sync="never") for _ in range(3)]
        options = {"stamp": "no", "listen": f"s3://127.0.0.1:{free_port()}"}
        sheaf = Sheaf(self, blob_pool([shards[0], shards[2]], **options), proxy={"workers": 1})
        s3, uploads = s3_client(sheaf.target("mail")), {}
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="source", Body=b"x")
        for n in range(8):
            where = {"Bucket": "bucket", "Key": f"k{n}"}
            where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
            tag = s3.upload_part(**where, PartNumber=1, Body=b"%d" % n)["ETag"]
            uploads[n] = where, {"Parts": [{"PartNumber": 1, "ETag": tag}]}

        def change(to, generation):
            sheaf.reload(blob_pool(to, **options))
            wait_until(lambda: sheaf.status()["generation"] == generation, what="the reload")
        change(shards, 2)
        for where, parts in uploads.values():
            for ask in (lambda: s3.upload_part(**where, PartNumber=1, Body=b"lost"), lambda: s3.list_parts(**where),
                        lambda: s3.complete_multipart_upload(**where, MultipartUpload=parts), lambda: s3.abort_multipart_upload(**where),
                        lambda: s3.upload_part_copy(**where, PartNumber=2, CopySource="bucket/source")):
                with self.assertRaises(ClientError) as caught:
                    ask()
                self.assertEqual(caught.exception.response["Error"]["Code"], "NoSuchUpload")
        self.assertEqual([path for path in pathlib.Path(shards[1].removeprefix("file://").partition("?")[0]).rglob("*")
                          if path.is_file() and b"lost" in path.read_bytes()], [])
        change([shards[0], shards[2]], 3)
        for n, (where, parts) in uploads.items():
            s3.complete_multipart_upload(**where, MultipartUpload=parts)
            self.assertEqual(s3.get_object(Bucket="bucket", Key=f"k{n}")["Body"].read(), b"%d" % n)


class Kept(dict):
    """What a store keeps, by path; it has whatever bucket it is asked for."""

    def __call__(self, method, path, _, body):
        path = path.partition("?")[0]
        if method == "PUT":
            self[path] = body
        if method == "DELETE":
            return (204, {}, self.pop(path, b"")[:0])
        return (200, {"etag": '"e"'}, b"" if method == "PUT" else self[path]) if path in self else (
            404, XML, b"<Error><Code>NoSuchKey</Code></Error>")


class Stamps(Case):
    def swapped(self, urls, stamps):
        """`stamps`: how many there are then."""
        keys, shards = [f"k{n}" for n in range(8)], []
        s3 = s3_client(Sheaf(self, blob_pool(urls), proxy={"workers": 1}).target("mail"))
        for key in keys:
            s3.put_object(Bucket="bucket", Key=key, Body=b"x")
        self.assertEqual(stamps(), 2)
        sheaf = Sheaf(self, blob_pool(reversed(urls)), proxy={"workers": 1})
        other = s3_client(sheaf.target("mail"))
        for key in keys:
            for ask in (lambda: other.get_object(Bucket="bucket", Key=key), lambda: other.delete_object(Bucket="bucket", Key=key),
                        lambda: other.put_object(Bucket="bucket", Key=key, Body=b"lost")):
                with self.assertRaises(ClientError) as caught:
                    ask()
                told = caught.exception.response
                self.assertEqual((told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]), (503, "ServiceUnavailable"))
                shards.append(re.search(r"[Ss]hard \d.*", told["Error"]["Message"])[0])
        with self.assertRaises(ClientError):
            other.list_objects_v2(Bucket="bucket")
        self.assertEqual(len(set(shards)), 2, shards)
        for key in keys:  # nothing was done
            self.assertEqual(s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x")
        self.assertEqual(stamps(), 2)

    def test_servers_that_changed_places_are_refused(self):
        """A stamp in each bucket, or in the one that has all, or below its prefix."""
        for path, where in (("", "/bucket/"), ("/holder", "/holder/"), ("/holder/below", "/holder/below/")):
            with self.subTest(path=path):
                kept = [Kept(), Kept()]
                self.swapped([Store(self, each).url + path for each in kept], lambda: sum(where + ".sheaf/stamp" in each for each in kept))

    def test_prefixes_in_other_sheafs_that_changed_places_are_refused(self):
        stores = [store(self) for _ in range(2)]
        clients = [s3_client(each.target("mail")) for each in stores]
        for each in clients:
            each.create_bucket(Bucket="holder")
        self.swapped([url_of(each, "/holder/below") for each in stores], lambda: sum(
            each.get_object(Bucket="holder", Key="below/.sheaf/stamp")["Body"].read() != b"" for each in clients))


if __name__ == "__main__":
    main()
