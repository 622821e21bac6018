#!/usr/bin/python3
# not under tsan: what is shared are the threads of folders, which other tests of blob pools have
"""Blob pools amid faults of stores and clients: nothing half visible, nothing lost, and nobody else's trouble."""
import concurrent.futures
import contextlib
import functools
import json

from lib import *
from lib.blob import *
from lib.blob_load import BlobLoad
from lib.process import run
from lib.small_disk import small_disk

FAST = {"probe_interval": "50ms", "probe_timeout": "1s", "rise": 1, "fall": 3, "breaker_open": "50ms", "backoff_max": "100ms",
        "connect_timeout": "1s"}


def url_of(address):
    return f"s3://{ID}:{SECRET}@{address}"


class FaultCase(Case):
    def serve(self, wired=False, **options):
        """Two servers that speak S3, each another Sheaf over a folder; the first behind a faulty wire, if so asked."""
        self.stores = [Sheaf(self, blob_pool([folder_url(self, sync="never")]), proxy={"workers": 1}) for _ in range(2)]
        addresses = ["%s:%d" % each.target("mail") for each in self.stores]
        if wired:
            self.wire = Faults(self, self.stores[0].target("mail"))
            addresses[0] = self.wire.address
        self.options = {"stamp": "no", "unsigned_access": "yes", **FAST, **options}
        self.pool = blob_pool([url_of(each) for each in addresses], **self.options)
        self.sheaf = Sheaf(self, self.pool)
        self.s3 = s3_client(self.sheaf.target("mail"))
        for bucket in ("load", "bucket"):
            self.s3.create_bucket(Bucket=bucket)
        keys = [f"k{n}" for n in range(30)]
        places = self.sheaf.route(*keys, name="mail")
        self.of_first, self.of_second = ([key for key, place in zip(keys, places) if place[3] == n] for n in "01")
        for key in keys:
            self.s3.put_object(Bucket="bucket", Key=key, Body=key.encode())

    def shard(self, index=0):
        return self.sheaf.status()["pools"][0]["shards"][index]

    def status_of(self, function, **arguments):
        try:
            return function(Bucket="bucket", **arguments)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def put(self, key, body=b"x"):
        return self.status_of(self.s3.put_object, Key=key, Body=body)

    def get(self, key):
        return self.s3.get_object(Bucket="bucket", Key=key)["Body"].read()

    def the_others_are_served(self):
        for key in self.of_second[:4]:
            self.assertEqual(self.get(key), key.encode())

    def strangers(self, load):
        """Errors of keys whose shard had no trouble."""
        keys = load.keys
        first = {key for key, place in zip(keys, self.sheaf.route(*keys, name="mail")) if place[3] == "0"}
        return [error for error in load.errors if error[0] not in first]


class UnderLoad(FaultCase):
    def test_a_store_that_is_killed_and_stopped_again_and_again(self):
        self.serve(timeout="1s")
        with BlobLoad(self.sheaf) as load:
            wait_until(load.ops(50), what="work to go on")
            for kind in ("kill", "stop", "kill", "stop"):
                store = self.stores[0]
                if kind == "kill":
                    store.process.kill()
                else:
                    store.process.stop()
                wait_until(lambda: not self.shard()["health"]["up"], what="the store to be found down")
                wait_until(load.ops(50), what="the others to be served")
                if kind == "kill":
                    store.start()
                else:
                    store.process.cont()
                wait_until(lambda: self.shard()["health"]["up"], what="the store to be found up")
                wait_until(load.ops(50), what="work to go on")
        self.assertEqual(self.strangers(load)[:3], [])
        load.check(self)

    def test_reloads_disturb_nobody(self):
        self.serve()
        with BlobLoad(self.sheaf) as load:
            for n in range(6):
                wait_until(load.ops(30), what="work to go on")
                self.pool[1].update({"max_upstreams": 10 + n, "timeout": f"{30 + n}s", "access_key": [f"{ID} {SECRET}", f"MORE{n} x"]})
                self.sheaf.reload(self.pool)
                wait_until(lambda: self.sheaf.status()["generation"] >= n + 2, what="the reload")
        self.assertEqual(load.errors[:3], [])
        load.check(self)

    def test_a_reload_that_moves_a_store_keeps_its_counts(self):
        self.serve(probe="no")
        def open_upstreams():
            return [self.shard(n)["upstreams_open"] for n in (0, 1)]
        wait_until(lambda: min(open_upstreams()) > 0, what="both to be connected to")
        before = open_upstreams()
        self.pool[1]["shard"].reverse()
        self.sheaf.reload(self.pool)
        wait_until(lambda: open_upstreams() == before[::-1], what="what is open to be told of the new places")
        for store in self.stores:
            store.terminate()
        wait_until(lambda: open_upstreams() == [0, 0], what="none to be open")

    def test_what_is_under_way_at_the_end_is_finished(self):
        self.serve()
        uploads = []
        for key in (self.of_first[0], self.of_second[0]):
            session = socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW)
            session.sendall(f"PUT /bucket/{key} HTTP/1.1\r\nhost: x\r\ncontent-length: 400000\r\n\r\n".encode() + b"y" * 200_000)
            uploads.append((key, session))
        load = BlobLoad(self.sheaf)
        with load:
            wait_until(load.ops(50), what="work to go on")
            wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] >= 2, what="the uploads to be under way")
            self.sheaf.terminate()
            wait_until(lambda: load.errors, what="the end to be noticed")
            for key, session in uploads:
                session.sendall(b"y" * 200_000)
                self.assertEqual(answer(session, "PUT")[0], 200)
                session.close()
            self.assertEqual(self.sheaf.wait(), 0)
        for _, text in load.errors:
            self.assertNotRegex(text, "^[45]")  # connections end between requests; none is refused
        self.sheaf.start()
        load.check(self)
        for key, _ in uploads:
            self.assertEqual(self.get(key), b"y" * 400_000)


class Stores(FaultCase):
    def test_a_stopped_store_is_named_and_nobody_elses_trouble(self):
        self.serve(timeout="500ms", stall_timeout="1s", probe="no", fall=100)
        self.stores[0].process.stop()
        # Of the large body the system takes all or not: only with its last byte a write may be done.
        for function, may_be_done, more in ((self.s3.get_object, {False}, {}), (self.s3.put_object, {False, True}, {"Body": b"x" * 3_000_000}),
                                            (self.s3.put_object, {True}, {"Body": b"x"}), (self.s3.delete_object, {True}, {})):
            with self.assertRaises(ClientError) as caught:
                function(Bucket="bucket", Key=self.of_first[0], **more)
            self.assertIn("%s:%d" % self.stores[0].target("mail"), str(caught.exception))
            self.assertEqual(caught.exception.response["Error"]["Code"], "SlowDown")
            self.assertIn("may have been carried out" in str(caught.exception), may_be_done, caught.exception)
        self.the_others_are_served()
        self.stores[0].process.cont()
        wait_until(lambda: self.status_of(self.s3.get_object, Key=self.of_first[1]) == 200, what="it to be served again")

    def test_what_a_stopped_store_had_not_begun_is_not_done_when_it_goes_on(self):
        """Who was told that it failed may have written something else by then."""
        self.serve(timeout="300ms", probe="no", fall=1000)
        changed, deleted = self.of_first[:2]
        self.stores[0].process.stop()
        with concurrent.futures.ThreadPoolExecutor() as threads:
            told = [threads.submit(self.put, changed, b"y" * size) for size in (1, 5000, 50_000)]
            told += [threads.submit(self.status_of, self.s3.delete_object, Key=deleted)]
            self.assertEqual({each.result() for each in told}, {503})
        self.stores[0].process.cont()
        wait_until(lambda: self.status_of(self.s3.get_object, Key=changed) == 200, what="it to be served again")
        self.assertEqual(self.put(self.of_first[2], b"z"), 200)
        wait_until(lambda: self.stores[0].status()["pools"][0]["requests_open"] == 0, what="the store to be idle")
        self.assertEqual(self.get(changed), changed.encode())
        self.assertEqual(self.get(deleted), deleted.encode())

    def test_an_answer_that_is_late_is_nobody_elses(self):
        self.serve(wired=True, timeout="300ms", probe="no", fall=100)
        self.wire.delay = 0.6
        for key in self.of_first[:3]:
            self.assertEqual(self.status_of(self.s3.get_object, Key=key), 503)
        self.wire.delay = 0
        for key in self.of_first[3:]:
            self.assertEqual(self.get(key), key.encode())

    def test_slow_answers_are_answers(self):
        self.serve(wired=True)
        self.wire.delay = 0.1
        body = random.randbytes(300_000)
        self.assertEqual(self.put(self.of_first[0], body), 200)
        self.assertTrue(self.get(self.of_first[0]) == body)
        self.the_others_are_served()

    def test_a_download_that_stands_still_in_its_midst_is_cut(self):
        self.serve(wired=True, timeout="1s", stall_timeout="2s", probe="no", fall=100)
        key = self.of_first[0]
        self.assertEqual(self.put(key, b"z" * 20_000_000), 200)
        with socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW) as session:
            session.sendall(b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\n\r\n" % key.encode())
            got = len(session.recv(1000))
            self.wire.black_hole = True
            with contextlib.suppress(ConnectionResetError):
                while more := len(session.recv(1 << 20)):
                    got += more
            self.assertLess(got, 20_000_000)
        self.the_others_are_served()
        self.wire.heal()
        self.assertEqual(len(wait_until(lambda: self.get(key))), 20_000_000)

    def test_of_an_upload_that_the_store_breaks_off_nothing_is_seen(self):
        self.serve(wired=True, probe="no", fall=100)
        key = self.of_first[0]
        for passes in (100, 2000, 100_000, 900_000, 1_200_000):
            self.wire.ask_cut_after = passes
            self.assertEqual(self.put(key, b"y" * 2_000_000), 503)
            self.wire.heal()
            self.assertEqual(wait_until(lambda: self.get(key)), key.encode())

    def test_who_did_not_hear_that_his_upload_was_completed_asks_again(self):
        self.serve(wired=True, probe="no", fall=100)
        where = {"Bucket": "bucket", "Key": self.of_first[0]}
        upload = self.s3.create_multipart_upload(**where)["UploadId"]
        parts = [{"PartNumber": n, "ETag": self.s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
                 for n, body in ((1, b"a" * (5 << 20)), (2, b"b"))]
        self.wire.cut_after = 1
        with self.assertRaises(ClientError):
            self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        self.wire.heal()
        self.assertEqual(self.get(where["Key"]), b"a" * (5 << 20) + b"b")
        tag = self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})["ETag"]
        self.assertEqual(tag, self.s3.head_object(**where)["ETag"])
        self.s3.put_object(**where, Body=b"new")
        with self.assertRaises(ClientError) as caught:
            self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertEqual(caught.exception.response["Error"]["Code"], "NoSuchUpload")
        self.assertEqual(self.get(where["Key"]), b"new")

    def test_copies_that_break_leave_what_was_there(self):
        self.serve(wired=True, probe="no", fall=100)
        self.assertEqual(self.put(self.of_first[0], b"z" * 3_000_000), 200)
        self.wire.cut_after = 1_000_000
        self.assertEqual(self.status_of(self.s3.copy_object, Key=self.of_second[0], CopySource=f"bucket/{self.of_first[0]}"), 503)
        self.wire.heal()
        self.assertEqual(self.get(self.of_second[0]), self.of_second[0].encode())
        self.assertEqual(self.put(self.of_second[1], b"z" * 3_000_000), 200)
        self.wire.ask_cut_after = 1_000_000
        self.assertEqual(self.status_of(self.s3.copy_object, Key=self.of_first[1], CopySource=f"bucket/{self.of_second[1]}"), 503)
        self.wire.heal()
        self.assertEqual(wait_until(lambda: self.get(self.of_first[1])), self.of_first[1].encode())


class Clients(FaultCase):
    def test_clients_that_stall_are_not_their_shards_fault(self):
        self.serve(stall_timeout="1s", timeout="1s", probe="no", fall=2)
        sessions = []
        for key in self.of_first[:6]:
            for said, sent in ((5_000_000, 2_000_000), (100, 50)):
                session = socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW)
                session.sendall(b"PUT /bucket/%s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (key.encode(), said) + b"y" * sent)
                sessions.append(session)
        for session in sessions:
            with contextlib.suppress(ConnectionError):
                while more := session.recv(65536):
                    self.assertNotIn(b"HTTP/1.1 2", more)
                    self.assertNotIn(b"Shard", more)
            session.close()
        self.assertEqual((self.shard()["health"]["state"], self.shard()["totals"]["failures"]), ("up", 0))
        for key in self.of_first:
            self.assertEqual(self.get(key), key.encode())

    def test_clients_that_leave_take_what_was_under_way_along(self):
        self.serve(wired=True)
        key = self.of_first[0]
        self.assertEqual(self.put(key, b"z" * 20_000_000), 200)
        for request in (b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\n\r\n" % key.encode(),
                        b"PUT /bucket/%s HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n" % key.encode() + b"y" * 5_000_000):
            for _ in range(5):
                with socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW) as session:
                    session.sendall(request)
                    if request.startswith(b"GET"):
                        session.recv(100_000)
            wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 0, what="nothing to be under way")
        self.assertTrue(self.get(key) == b"z" * 20_000_000)
        self.assertEqual(self.shard()["health"]["state"], "up")
        # What was under way for them was closed: at the store nothing is under way either.
        wait_until(lambda: self.stores[0].status()["pools"][0]["requests_open"] == 0, what="the store to be idle")

    def test_who_leaves_before_his_answer_began_takes_his_work_along(self):
        self.serve(wired=True, timeout="300s", stall_timeout="0", probe="no")
        key = self.of_first[0].encode()
        get = b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\n\r\n" % key
        put = b"PUT /bucket/%s HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n" % key + b"y" * 100
        self.wire.black_hole = True
        for request in (get, put, get * 3):
            with socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW) as session:
                session.sendall(request)
                wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 1, what="the store to be asked")
            wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 0, what="it to be let go")
            self.assertEqual(self.shard()["health"]["state"], "up")  # it is not the store's fault

    def test_who_only_sends_no_more_is_answered(self):
        self.serve(wired=True, probe="no")
        (put, got), body = self.of_first[:2], random.randbytes(6_000_000)
        self.wire.ask_delay = 0.03  # of each 64 KiB: he has said all before the store has half of it
        self.wire.delay = 2.5       # so that he is asked whether he is still there
        for request, expected in ((b"PUT /bucket/%s HTTP/1.1\r\nhost: x\r\ncontent-length: 6000000\r\n\r\n" % put.encode() + body, b""),
                                  (b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\n\r\n" % got.encode(), got.encode())):
            with socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW) as session:
                session.sendall(request)
                session.shutdown(socket.SHUT_WR)
                self.assertEqual(answer(session)[::2], (200, expected))
        self.wire.heal()
        self.assertTrue(self.get(put) == body)

    def test_who_does_not_read_at_all_is_let_go_and_nobody_is_to_blame(self):
        self.serve(unread_timeout="1s", probe="no", fall=1)
        for key in (self.of_first[0], self.of_second[0]):
            self.assertEqual(self.put(key, b"z" * 20_000_000), 200)
            with socket.create_connection(self.sheaf.target("mail"), timeout=30 * SLOW) as session:
                session.sendall(b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\n\r\n" % key.encode())
                wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
                wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 0, what="it to be let go")
            wait_until(lambda: all(each.status()["pools"][0]["requests_open"] == 0 for each in self.stores), what="its store, too")
        for shard in (0, 1):
            self.assertEqual((self.shard(shard)["health"]["state"], self.shard(shard)["totals"]["failures"]), ("up", 0))

    def test_a_reader_by_bits_gets_every_byte(self):
        self.serve()
        for key in (self.of_first[0], self.of_second[0]):
            body = random.randbytes(6_000_000)
            self.assertEqual(self.put(key, body), 200)
            with socket.socket() as session:
                session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                session.connect(self.sheaf.target("mail"))
                session.sendall(b"GET /bucket/%s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % key.encode())
                got = bytearray()
                while more := session.recv(2000 if len(got) < 200_000 else 1 << 20):
                    got += more
            self.assertTrue(bytes(got).partition(b"\r\n\r\n")[2] == body)


class FullDisk(Case):
    def test_an_access_log_that_finds_no_room_delays_nobody_and_says_what_is_lost(self):
        small = small_disk(self, "64k")
        sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], access_log="json", access_log_file=small / "log",
                                      unsigned_access="yes"), proxy={"workers": 1})
        raw = Raw(sheaf.target("mail"))
        # More than it has room for, of lengths that leave a line half written.
        for n in range(200):
            self.assertEqual(raw.ask("GET", f"/{n:04}" + "x" * 50 + "?a=" + "b" * 1000)[0], 404)
        wait_until(lambda: "lines of the access log are lost" in sheaf.log, what="the loss to be told")
        ballast = (small / "log").read_bytes()
        self.assertNotEqual(ballast[-1:], b"\n")
        os.truncate(small / "log", 20_000)
        with open(small / "log", "r+b") as file: # as if there were more room: its end stays half a line
            file.seek(0)
            file.write(b"\n" * 19_990 + b"half a lin")
        self.assertEqual(raw.ask("GET", "/last")[0], 404)
        lines = wait_until(lambda: (text := (small / "log").read_bytes().strip().split(b"\n"))[-1].endswith(b"}") and text)
        self.assertEqual(lines[0], b"half a lin")
        self.assertEqual([json.loads(line)["bucket"] for line in lines[1:]], ["last"])

    def test_a_folder_that_is_full_keeps_what_it_has(self):
        small = small_disk(self, "1m")
        sheaf = Sheaf(self, blob_pool([f"file://{small}", folder_url(self)]))
        s3 = s3_client(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        keys = [f"k{n}" for n in range(20)]
        places = sheaf.route(*keys, name="mail")
        of_small, of_large = ([key for key, place in zip(keys, places) if place[3] == n] for n in "01")
        for key in keys:
            s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
        for key in of_small[:3]:
            with self.assertRaises(ClientError) as caught:
                s3.put_object(Bucket="bucket", Key=key, Body=b"x" * 3_000_000)
            self.assertGreaterEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)
        for key in of_large:
            s3.put_object(Bucket="bucket", Key=key, Body=b"x" * 3_000_000)
        for key in of_small:
            self.assertEqual(s3.get_object(Bucket="bucket", Key=key)["Body"].read(), key.encode())
            s3.put_object(Bucket="bucket", Key=key, Body=b"y" * 10_000)    # what the large ones took was given back
        self.assertEqual(len(s3.list_objects_v2(Bucket="bucket")["Contents"]), 20)

    def test_an_upload_that_a_folder_has_no_room_for_can_be_tried_again_or_given_up(self):
        small = small_disk(self, "24m")
        sheaf = Sheaf(self, blob_pool([f"file://{small}"]))
        s3, where = s3_client(sheaf.target("mail")), {"Bucket": "bucket", "Key": "k"}

        def room():
            return os.statvfs(small).f_bavail * os.statvfs(small).f_bsize

        def is_full(function, **arguments):
            before = room()
            with self.assertRaises(ClientError) as caught:
                function(**{**where, **arguments})
            self.assertEqual(caught.exception.response["Error"]["Code"], "InsufficientStorage")
            self.assertGreaterEqual(room(), before - 65536)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(**where, Body=b"before")
        at_first, bodies = room(), [random.randbytes(9 << 20) for _ in range(2)]
        upload = s3.create_multipart_upload(**where)["UploadId"]
        parts = [{"PartNumber": n, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
                 for n, body in enumerate(bodies, 1)]
        is_full(s3.upload_part, UploadId=upload, PartNumber=3, Body=bodies[0])
        is_full(s3.upload_part, UploadId=upload, PartNumber=2, Body=bodies[0])
        is_full(s3.complete_multipart_upload, UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertEqual([part["ETag"] for part in s3.list_parts(**where, UploadId=upload)["Parts"]], [part["ETag"] for part in parts])
        self.assertEqual(s3.get_object(**where)["Body"].read(), b"before")
        self.assertEqual(run(["mount", "-o", "remount,size=48m", small])[0], 0)
        s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertTrue(s3.get_object(**where)["Body"].read() == b"".join(bodies))
        second = s3.create_multipart_upload(**where)["UploadId"]
        for n in (1, 2):
            s3.upload_part(**where, UploadId=second, PartNumber=n, Body=bodies[0])
        is_full(s3.copy_object, Key="copy", CopySource="bucket/k")
        s3.abort_multipart_upload(**where, UploadId=second)
        s3.delete_object(**where)
        wait_until(lambda: room() >= at_first + (24 << 20) - 65536, what="all room to be given back")

    def test_a_folder_without_a_block_left_loses_nothing(self):
        small = small_disk(self, "1m")
        sheaf = Sheaf(self, blob_pool([f"file://{small}"]))
        s3 = s3_client(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"before", Tagging="a=1")
        ballast = os.open(small / "ballast", os.O_CREAT | os.O_WRONLY)
        with contextlib.suppress(OSError):
            while os.write(ballast, b"x" * 4096):
                pass
        os.close(ballast)
        outcomes = set()
        for function in (functools.partial(s3.put_object, Key="k", Body=b"after"), functools.partial(s3.create_multipart_upload, Key="u"),
                         functools.partial(s3.put_object_tagging, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "v" * 200}]})):
            try:
                function(Bucket="bucket")
                outcomes.add("done")  # what needs no block
            except ClientError as error:
                outcomes.add(error.response["Error"]["Code"])
        self.assertLessEqual({"InsufficientStorage"}, outcomes)
        self.assertLessEqual(outcomes, {"done", "InsufficientStorage"})
        self.assertEqual(s3.get_object(Bucket="bucket", Key="k")["Body"].read(), b"before")
        self.assertEqual([each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]], ["k"])
        s3.delete_object(Bucket="bucket", Key="k")
        self.assertNotIn("Contents", s3.list_objects_v2(Bucket="bucket"))
        (small / "ballast").unlink()
        s3.put_object(Bucket="bucket", Key="k", Body=b"after")
        self.assertEqual(s3.get_object(Bucket="bucket", Key="k")["Body"].read(), b"after")


if __name__ == "__main__":
    main()
