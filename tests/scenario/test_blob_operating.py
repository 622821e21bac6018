#!/usr/bin/python3
# release only: what is counted and told, most of it waiting (--long has all builds)
"""Blob pools, as those see them who run them: figures, slow requests."""
import json
import pty
import select
import struct
import threading

from lib import *
from lib.blob import *
from lib.blob_stages import XML, Store
from lib.sheaf import BINARY


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
        where = {"pool": "mail", "operation": "PutObject"}
        for n in range(2):  # each is in the last of its buckets
            for name, labels in (("count", {}), ("bucket", {"le": "+Inf"})):
                self.assertEqual(self.metric(f"sheaf_blob_shard_latency_seconds_{name}", shard=str(n), **where, **labels), puts[n])
            self.assertGreater(self.metric("sheaf_blob_shard_latency_seconds_sum", shard=str(n), **where), 0)

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
        made = next(each for each in slow if each["command"] == "CreateBucket")
        self.assertEqual((made["shard"], made["endpoint"]), (None, ""))
        self.assertIn(put["endpoint"], [each["endpoint"] for each in self.sheaf.status()["pools"][0]["shards"]])


class Drained(Case):
    def test_a_shard_that_an_operator_drains_is_not_asked(self):
        sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never") for _ in range(2)]))
        s3 = s3_client(sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        keys = {sheaf.route(f"k{n}", name="mail")[0][3]: f"k{n}" for n in range(20)}
        for key in keys.values():
            s3.put_object(Bucket="bucket", Key=key, Body=b"x")
        self.assertEqual(sheaf.http("/api/v1/drain?pool=mail&shard=1", "POST")[0], 200)
        self.assertEqual(s3.get_object(Bucket="bucket", Key=keys["0"])["Body"].read(), b"x")
        with self.assertRaises(ClientError) as caught:
            s3.get_object(Bucket="bucket", Key=keys["1"])
        self.assertEqual(caught.exception.response["Error"]["Code"], "SlowDown")
        self.assertRegex(str(caught.exception), "Shard 1 .* drained by the operator")
        self.assertEqual(sheaf.http("/api/v1/undrain?pool=mail&shard=1", "POST")[0], 200)
        self.assertEqual(s3.get_object(Bucket="bucket", Key=keys["1"])["Body"].read(), b"x")


# Amazon's fields in their order, as its documentation of server access logs has them.
FIELDS = ("owner bucket time remote_ip requester request_id operation key request_uri status error_code bytes_sent object_size"
          " total_time turn_around_time referer user_agent version_id host_id signature_version cipher_suite"
          " authentication_type host_header tls_version access_point_arn acl_required").split()


def amazons(line):
    """The fields of a line, as tools split it that read such logs."""
    words = re.findall(r'\[[^\]]*\]|"[^"]*"|\S+', line)
    assert len(words) == len(FIELDS), (len(words), line)
    return dict(zip(FIELDS, words))


class AccessLog(Case):
    def log(self, kind):
        """Requests to a pool whose lines go to self.file."""
        self.folder = pathlib.Path(folder_url(self)[len("file://"):])
        self.file = self.folder / "access.log"
        self.sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], access_log=kind, access_log_file=self.file))
        self.s3 = s3_client(self.sheaf.target("mail"))
        self.s3.create_bucket(Bucket="bucket")
        self.s3.put_object(Bucket="bucket", Key="a \"b\"", Body=b"12345")
        self.s3.get_object(Bucket="bucket", Key="a \"b\"", Range="bytes=1-2")["Body"].read()
        with self.assertRaises(ClientError):
            self.s3.get_object(Bucket="bucket", Key="none")
        return self.lines(4)

    def lines(self, count, file=None):
        file = file or self.file
        wait_until(lambda: file.exists() and len(file.read_text().splitlines()) == count, what=f"{count} lines")
        return file.read_text().splitlines()

    def last(self, count):
        return amazons(self.lines(count)[-1])

    def test_lines_as_amazon_writes_them(self):
        made, put, got, missing = map(amazons, self.log("s3"))
        host = "%s:%d" % self.sheaf.target("mail")
        for line, expected in (
                (made, {"operation": "REST.PUT.BUCKET", "key": "-", "bytes_sent": "-", "object_size": "-"}),
                (put, {"operation": "REST.PUT.OBJECT", "key": "a%20%22b%22", "bytes_sent": "-", "object_size": "5",
                       "request_uri": '"PUT /bucket/a%20%22b%22 HTTP/1.1"', "error_code": "-"}),
                (got, {"operation": "REST.GET.OBJECT", "status": "206", "bytes_sent": "2", "object_size": "5"}),
                (missing, {"operation": "REST.GET.OBJECT", "status": "404", "error_code": "NoSuchKey", "object_size": "-"})):
            for name, value in {"bucket": "bucket", "remote_ip": "127.0.0.1", "requester": ID, "referer": '"-"', "version_id": "-",
                                "signature_version": "SigV4", "authentication_type": "AuthHeader", "host_header": host,
                                "cipher_suite": "-", "tls_version": "-", "acl_required": "-", **expected}.items():
                self.assertEqual(line[name], value, (name, line))
            self.assertRegex(line["time"], r"^\[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000\]$")
            self.assertRegex(line["user_agent"], "Boto3")
            self.assertLessEqual(int(line["turn_around_time"]), int(line["total_time"]))

    def test_operations_and_strangers(self):
        self.log("s3")
        raw, count = Raw(self.sheaf.target("mail")), 4
        self.s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/a \"b\"")
        self.assertEqual(self.last(5)["operation"], "REST.COPY.OBJECT")
        upload = self.s3.create_multipart_upload(Bucket="bucket", Key="u")["UploadId"]
        self.assertEqual(self.last(6)["operation"], "REST.POST.UPLOADS")
        self.s3.upload_part(Bucket="bucket", Key="u", PartNumber=1, UploadId=upload, Body=b"x")
        self.assertEqual(self.last(7)["operation"], "REST.PUT.PART")
        self.s3.list_objects_v2(Bucket="bucket")
        self.assertEqual(self.last(8)["operation"], "REST.GET.BUCKET")
        with self.assertRaises(ClientError):
            s3_client(self.sheaf.target("mail"), secret="wrong").delete_object(Bucket="bucket", Key="k")
        line = self.last(9)
        self.assertEqual([line[name] for name in ("operation", "bucket", "key", "requester", "status", "error_code", "signature_version")],
                         ["REST.DELETE.OBJECT", "bucket", "k", "-", "403", "SignatureDoesNotMatch", "-"])
        # what a stranger sends stays one line, and one word
        with raw.connect() as session:
            session.sendall(b'GET /bucket/%0a%22%20x%ff HTTP/1.1\r\nhost: x\r\nuser-agent: a "b" \xff\r\n\r\n')
            answer(session)
        line = self.last(10)
        self.assertEqual((line["key"], line["user_agent"]), ("%0A%22%20x%FF", '"a %22b%22 %FF"'))
        url = self.s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "copy"})
        urllib.request.urlopen(url).read()
        self.assertEqual(self.last(11)["authentication_type"], "QueryString")

    def test_lines_as_json(self):
        lines = [json.loads(line) for line in self.log("json")]
        self.assertEqual([(line["operation"], line["status"], line.get("error")) for line in lines],
                         [("CreateBucket", 200, None), ("PutObject", 200, None), ("GetObject", 206, None), ("GetObject", 404, "NoSuchKey")])
        self.assertEqual((lines[1]["key"], lines[1]["bytes_in"], lines[2]["bytes_out"], lines[2]["object_bytes"]), ('a "b"', 5, 2, 5))
        with Raw(self.sheaf.target("mail")).connect() as session:
            session.sendall("GET /bucket/%ff%c3%a4 HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            answer(session)
        self.assertEqual(json.loads(self.lines(5)[-1])["key"], "%FFä")

    def test_who_reset_his_connection_is_named(self):
        self.log("json")
        raw = Raw(self.sheaf.target("mail"))
        with raw.connect() as session:
            session.sendall(raw.head("PUT", "/bucket/k") + b"content-length: 100\r\n\r\nhalf")
            wait_until(lambda: self.sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
            address = "%s:%d" % session.getsockname()
            session.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
        line = json.loads(self.lines(5)[-1])
        self.assertEqual((line["remote"], line["abandoned"]), (address, True))
        wait_until(lambda: f"address={address}" in self.sheaf.log, what="the end to be told")

    def test_a_file_that_is_taken_away_is_made_anew_by_a_reload(self):
        self.log("json")
        old = self.folder / "access.log.1"
        self.file.rename(old)
        self.s3.get_object(Bucket="bucket", Key="a \"b\"")["Body"].read()
        self.lines(5, old)
        self.sheaf.reload()
        wait_until(lambda: "configuration reloaded" in self.sheaf.log, what="the reload")
        self.s3.get_object(Bucket="bucket", Key="a \"b\"")["Body"].read()
        self.lines(1)
        self.assertEqual(len(old.read_text().splitlines()), 5)


MIB = 1 << 20


class Memory(Case):
    """What is held for clients and stores that are slow is counted, and bounded in all."""

    def held(self):
        return self.sheaf.status()["memory"]["held_bytes"]

    def closed(self, reason):
        return self.sheaf.status()["sessions"]["closed"][reason]

    def open(self, head, room=None):
        """A client that sends its head, and reads nothing yet."""
        session = socket.socket()
        if room:
            session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        session.connect(self.sheaf.target("mail"))
        ends_with(self, session.close)
        session.settimeout(30)
        session.sendall(head)
        return session

    def refused(self):
        return self.sheaf.status()["pools"][0]["errors"].get("SlowDown", 0)

    def test_clients_that_do_not_read(self):
        self.sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], unsigned_access="yes"), proxy={"workers": 1, "max_memory": "16mb"})
        body, raw = os.urandom(4 * MIB), Raw(self.sheaf.target("mail"))
        self.assertEqual(raw.ask("PUT", "/bucket")[0], 200)
        self.assertEqual(raw.ask("PUT", "/bucket/big", body=body)[0], 200)
        readers = []
        while self.refused() == 0 and len(readers) < 400:
            readers.append(self.open(b"GET /bucket/big HTTP/1.1\r\nhost: x\r\n\r\n", room=4096))
            self.assertLessEqual(self.held(), 16 * MIB)
        self.assertGreater(self.refused(), 0, len(readers))
        served = []
        for reader in readers:
            reader.settimeout(30)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)  # else it takes long
            status, _, got = answer(reader)
            self.assertIn(status, (200, 503))
            if status == 200:
                self.assertEqual(got, body)
                served.append(reader)
            else:
                self.assertIn(b"<Code>SlowDown</Code>", got)
        self.assertGreater(len(served), 10)
        self.assertEqual(self.closed("memory"), 0)
        wait_until(lambda: self.held() < MIB, what="all to be given back")
        self.assertEqual(raw.ask("GET", "/bucket/big")[2], body)

    def test_a_store_that_does_not_read(self):
        store = socket.socket()
        store.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        store.bind(("127.0.0.1", 0))
        store.listen(400)
        ends_with(self, store.close)
        self.sheaf = Sheaf(self, blob_pool(["s3://a:b@127.0.0.1:%d/holder" % store.getsockname()[1]], unsigned_access="yes", stamp="no",
                                           probe_interval="1h", stall_timeout=f"{int(15 * SLOW)}s"),
                           proxy={"workers": 1, "max_memory": "16mb"})
        head = b"PUT /bucket/k HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (1 << 30)
        writers = [self.open(head) for _ in range(100)]
        piece, moving = bytes(MIB), set(writers)
        for writer in writers:
            writer.setblocking(False)
        while moving:       # until nobody can send more
            _, ready, _ = select.select([], moving, [], 2)
            moving &= set(ready)
            for writer in ready:
                try:
                    writer.send(piece)
                except BlockingIOError:
                    pass
                except OSError:
                    moving.discard(writer)      # it was refused
            self.assertLessEqual(self.held(), 16 * MIB)
        self.assertGreater(self.held(), MIB)
        self.assertEqual(self.closed("memory"), 0)
        for writer in writers:
            writer.close()
        # That they left is behind what they sent; a system that is short of memory for sockets does not take that.
        wait_until(lambda: self.held() < MIB, 30, what="all to be given back")

    def test_many_uploads_end_well_or_are_told_to_slow_down(self):
        self.sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], unsigned_access="yes"),
                           proxy={"workers": 1, "max_memory": "16mb"})
        raw, body = Raw(self.sheaf.target("mail")), os.urandom(4 * MIB)
        self.assertEqual(raw.ask("PUT", "/bucket")[0], 200)
        with concurrent.futures.ThreadPoolExecutor(40) as crowd:
            put = list(crowd.map(lambda n: raw.ask("PUT", f"/bucket/k{n}", body=body)[0], range(40)))
        self.assertLessEqual(set(put), {200, 503})
        self.assertIn(200, put)
        for n, status in enumerate(put):
            self.assertEqual(raw.ask("HEAD", f"/bucket/k{n}")[0], 200 if status == 200 else 404)
        self.assertEqual(self.closed("memory"), 0)
        wait_until(lambda: self.held() < MIB, what="all to be given back")

    def test_bodies_that_are_read_whole(self):
        self.sheaf = Sheaf(self, blob_pool([folder_url(self, sync="never")], unsigned_access="yes"), proxy={"workers": 1, "max_memory": "16mb"})
        raw = Raw(self.sheaf.target("mail"))
        self.assertEqual(raw.ask("PUT", "/bucket")[0], 200)
        body = b"<Delete>" + b"<Object><Key>k</Key></Object>" * 120000
        head = b"POST /bucket?delete HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (len(body) + 1)
        writers = []
        for _ in range(12):
            writer = self.open(head)
            try:
                writer.sendall(body)
            except (BrokenPipeError, ConnectionResetError):
                pass        # it was refused meanwhile
            writers.append(writer)
            self.assertLessEqual(self.held(), 16 * MIB)
        wait_until(lambda: self.refused() > 0, what="some to be refused")
        wait_until(lambda: self.held() > 6 * MIB, what="the others to be held")
        self.assertEqual(self.closed("memory"), 0)
        for writer in writers:
            writer.close()
        wait_until(lambda: self.held() < MIB, what="all to be given back")
        self.assertEqual(raw.ask("PUT", "/bucket/k", body=b"x")[0], 200)


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
        self.assertNotIn("its stamp is right", self.verify(sheaf, code=1))

    def test_a_shard_whose_keys_a_service_hands_out_is_not_asked_without_them(self):
        sheaf = Sheaf(self, blob_pool([f"s3://127.0.0.1:{free_port()}/b?credentials=metadata"]), start=False)
        lines = [json.loads(line) for line in self.verify(sheaf, "--json", code=1).splitlines()]
        self.assertIn("metadata service", lines[0]["failed"])

    def test_progress_is_told_while_a_shard_is_walked(self):
        went = threading.Event()
        ends_with(self, went.set)
        slow = Store(self, lambda *_: (went.wait(20 * SLOW), (200, XML, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"))[1])
        folder = folder_url(self, sync="never")
        sheaf = Sheaf(self, blob_pool([folder, slow.url], stamp="no"), start=False)
        place = pathlib.Path(folder.removeprefix("file://").partition("?")[0], "bucket")
        place.mkdir()
        keys = [f"k{n}" for n in range(20)]
        for key in keys:
            (place / key).write_bytes(b"x")
        stray = sum(each[3] == "1" for each in sheaf.route(*keys, name="mail"))
        screen, terminal = pty.openpty()
        ends_with(self, os.close, screen)
        told = b""
        try:
            verify = subprocess.Popen([BINARY, "verify", sheaf.file, "mail"], stdout=subprocess.PIPE, stderr=terminal)
        finally:
            os.close(terminal)
        try:
            while b"sheaf verify: 20 objects seen, %d misplaced; 1 of 2 shards done" % stray not in told:
                self.assertTrue(select.select([screen], [], [], 20 * SLOW)[0], told)
                told += os.read(screen, 4096)
            went.set()
            out = verify.communicate(timeout=20 * SLOW)[0]
        finally:
            verify.kill()
            verify.wait()
        self.assertIn(b"20 objects of 20 bytes, %d misplaced" % stray, out)
        self.assertEqual(verify.returncode, 1)

    def test_what_cannot_be_verified(self):
        for words in ([], ["--what"], ["a"], ["--bucket"], ["/no/such/file.ini", "mail"]):
            self.assertEqual(Sheaf.command("verify", *words)[0], 2, words)
        sheaf = Sheaf(self, blob_pool([folder_url(self)]), start=False)
        code, _, err = sheaf.command("verify", sheaf.file, "other")
        self.assertEqual((code, "pools: mail" in err), (2, True), err)


if __name__ == "__main__":
    main()
