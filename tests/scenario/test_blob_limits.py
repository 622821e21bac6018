#!/usr/bin/python3
# release only: figures of memory, and many of everything
"""Limits of blob pools: parts, keys, connections, and the memory that all of them take."""
import contextlib
import http.client
import resource
import threading
import time
import urllib.parse

from lib import *
from lib.blob import *

LONG = os.environ.get("SHEAF_LONG") == "1"


class LimitCase(Case):
    def serve(self, **options):
        """A server that speaks S3 and a folder; whoever comes may."""
        self.store = Sheaf(self, blob_pool([folder_url(self, sync="never")], unsigned_access="yes"), proxy={"workers": 1, "max_sessions": 20000})
        self.sheaf = Sheaf(self, blob_pool([f"s3://{ID}:{SECRET}@127.0.0.1:{self.store.port}", folder_url(self, sync="never")],
                                           stamp="no", unsigned_access="yes", **options), proxy={"workers": 2, "max_sessions": 20000})
        self.s3 = s3_client(self.sheaf.target("mail"))
        self.s3.create_bucket(Bucket="bucket")
        shards = {}
        for n in range(20):
            shards.setdefault(self.sheaf.route(f"k{n}", name="mail")[0][3], f"k{n}")
        self.keys = [shards["0"], shards["1"]]

    def connect(self):
        session = socket.create_connection(self.sheaf.target("mail"), timeout=30)
        self.addCleanup(session.close)
        return session

    def memory(self):
        return self.sheaf.process.memory_kib()


class Objects(LimitCase):
    def test_an_upload_of_very_many_parts(self):
        self.serve()
        count = 10_000 if LONG else 1_100  # more than a page of their list
        bodies = [b"%d|" % n for n in range(1, count + 1)]
        tags = [hashlib.md5(body).hexdigest() for body in bodies]
        for key in self.keys:
            where = {"Bucket": "bucket", "Key": key}
            upload = self.s3.create_multipart_upload(**where)["UploadId"]
            session = http.client.HTTPConnection(*self.sheaf.target("mail"), timeout=60)
            for n, body in enumerate(bodies, 1):
                session.request("PUT", f"/bucket/{key}?partNumber={n}&uploadId={urllib.parse.quote(upload)}", body)
                reply = session.getresponse()
                reply.read()
                self.assertEqual((reply.status, reply.getheader("etag")), (200, f'"{tags[n - 1]}"'))
            session.close()
            listed = [part for page in self.s3.get_paginator("list_parts").paginate(**where, UploadId=upload) for part in page["Parts"]]
            self.assertEqual([(part["PartNumber"], part["ETag"]) for part in listed], [(n, f'"{tag}"') for n, tag in enumerate(tags, 1)])
            with self.assertRaises(ClientError) as caught:
                self.s3.upload_part(**where, UploadId=upload, PartNumber=10_001, Body=b"x")
            self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidArgument")
            # The list of them is read, and told to the store, which wants larger ones: test_blob_ceph has those.
            with self.assertRaises(ClientError) as caught:
                self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={
                    "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]})
            self.assertEqual(caught.exception.response["Error"]["Code"], "EntityTooSmall")
            self.s3.abort_multipart_upload(**where, UploadId=upload)
            self.assertNotIn("Uploads", self.s3.list_multipart_uploads(Bucket="bucket"))

    def test_keys_of_1024_bytes_and_no_more(self):
        self.serve()
        for key in ("k" * 1024, "d/" * 512, "\u00e4" * 512, "%" * 1024):
            self.s3.put_object(Bucket="bucket", Key=key, Body=b"x")
            self.assertEqual(self.s3.get_object(Bucket="bucket", Key=key)["Body"].read(), b"x")
            with self.assertRaises(ClientError) as caught:
                self.s3.put_object(Bucket="bucket", Key=key + "x", Body=b"x")
            self.assertEqual(caught.exception.response["Error"]["Code"], "KeyTooLongError")
        self.assertEqual(len(self.s3.list_objects_v2(Bucket="bucket")["Contents"]), 4)

    def test_an_object_larger_than_allowed_is_refused_before_it_comes(self):
        self.serve(max_object="1mb")
        for key in self.keys:
            self.s3.put_object(Bucket="bucket", Key=key, Body=b"x" * (1 << 20))
            session = self.connect()
            session.sendall(f"PUT /bucket/{key} HTTP/1.1\r\nhost: h\r\ncontent-length: {(1 << 20) + 1}\r\n\r\n".encode())
            status, _, text = answer(session, "PUT")
            self.assertEqual(status, 400)
            self.assertIn(b"EntityTooLarge", text)


class Connections(LimitCase):
    def test_idle_connections_cost_little(self):
        self.serve()
        count = 10_000 if LONG else 2_000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(count, hard - 500)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))
        request = f"GET /bucket/{self.keys[0]} HTTP/1.1\r\nhost: h\r\n\r\n".encode()
        self.s3.put_object(Bucket="bucket", Key=self.keys[0], Body=b"x")

        def ask(sessions):
            for session in sessions:
                session.sendall(request)
            for session in sessions:
                self.assertEqual(answer(session)[::2], (200, b"x"))
        ask([self.connect() for _ in range(20)])
        before = self.memory()
        sessions = [self.connect() for _ in range(count)]
        for at in range(0, count, 100):
            ask(sessions[at:at + 100])
        wait_until(lambda: (self.memory() - before) / count < 10, what="less than 10 KiB for an idle connection")
        ask(sessions[:20] + sessions[-20:])
        for session in sessions:
            session.close()
        wait_until(lambda: self.sheaf.process.open_files() < 200, what="them to be closed")

    def test_what_waits_for_connections_to_a_store_is_bounded(self):
        self.serve(max_upstreams=2, max_queue=2, queue_timeout="20s", stall_timeout="0")
        self.store.process.stop()
        self.addCleanup(self.store.process.cont)
        request = f"GET /bucket/{self.keys[0]} HTTP/1.1\r\nhost: h\r\n\r\n".encode()
        refused = []

        def ask():
            session = self.connect()
            session.sendall(request)
            status, _, text = answer(session)
            refused.append((status, text))
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(20)]
        for thread in threads:
            thread.start()
        # Of two workers each has one connection, and two that wait.
        wait_until(lambda: len(refused) >= 14, what="those beyond to be refused at once")
        self.assertEqual({status for status, _ in refused}, {503})
        self.assertIn(b"max_queue", refused[0][1])
        self.s3.put_object(Bucket="bucket", Key=self.keys[1], Body=b"x")
        self.store.process.cont()
        for thread in threads:
            thread.join(30)
        self.assertEqual([status for status, _ in refused].count(404), len(threads) - [status for status, _ in refused].count(503))


class Memory(LimitCase):
    """What streams hold is little, however large they are and whoever stands still."""

    def test_clients_that_do_not_read(self):
        self.serve()
        for key in self.keys:
            self.s3.put_object(Bucket="bucket", Key=key, Body=b"z" * 20_000_000)
            self.grows_little(f"GET /bucket/{key} HTTP/1.1\r\nhost: h\r\n\r\n".encode(), b"", 40)

    def test_stores_that_do_not_read(self):
        self.serve()
        for key in self.keys[:1]:
            self.store.process.stop()
            self.addCleanup(self.store.process.cont)
            self.grows_little(f"PUT /bucket/{key} HTTP/1.1\r\nhost: h\r\ncontent-length: 20000000\r\n\r\n".encode(), b"z" * 8_000_000, 40)
            self.store.process.cont()

    def test_clients_that_send_slower_than_they_said(self):
        self.serve()
        for key in self.keys:
            self.grows_little(f"PUT /bucket/{key} HTTP/1.1\r\nhost: h\r\ncontent-length: 20000000\r\n\r\n".encode(), b"z" * 100_000, 40)

    def grows_little(self, head, body, count):
        before = self.memory()
        sessions = [self.connect() for _ in range(count)]
        for session in sessions:
            session.setblocking(False)
            rest = memoryview(head + body)
            with contextlib.suppress(BlockingIOError):
                while rest:
                    rest = rest[session.send(rest):]
        rests = 0
        while rests < 20:  # as long as anything moves
            held = self.memory()
            time.sleep(0.02)
            rests = rests + 1 if self.memory() <= held else 0
        # Of each 256 KiB wait to be written, and as much was read meanwhile; none holds its 20 MB.
        self.assertLess(self.memory() - before, count * 640 + 6 * 1024)
        for session in sessions:
            session.close()
        wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 0, what="all to be let go")


if __name__ == "__main__":
    main()
