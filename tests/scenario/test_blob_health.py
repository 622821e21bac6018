#!/usr/bin/python3
# not under tsan: probes and breakers are those of test_health.py
"""Blob pools: a store that goes is seen, refused at once, and served again when it is back."""
import http.server
import json
import select
import threading

from lib import *
from lib.blob import *
from lib.case import ends_with

FAST = {"probe_interval": "50ms", "probe_timeout": "5s", "rise": 2, "fall": 3, "breaker_open": "50ms",
        "backoff_max": "200ms", "connect_timeout": "1s"}


def url_of(sheaf, path=""):
    return "s3://%s:%s@%s:%d" % (ID, SECRET, *sheaf.target("mail")) + path


class HealthCase(Case):
    def health(self, shard=0):
        return self.sheaf.status()["pools"][0]["shards"][shard]["health"]

    def await_state(self, state, shard=0, reason=None):
        def is_so():
            health = self.health(shard)
            return health["state"] == state and (reason is None or health["reason"] == reason)
        try:
            wait_until(is_so, what=f"shard {shard} to be {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.health(shard)}\n{self.sheaf.log}") from None

    def status_of(self, key):
        try:
            return self.s3.get_object(Bucket="bucket", Key=key)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def fill(self):
        """Some keys, so that each of two shards has some."""
        self.s3 = s3_client(self.sheaf.target("mail"))
        self.s3.create_bucket(Bucket="bucket")
        keys = [f"k{n}" for n in range(20)]
        for key in keys:
            self.s3.put_object(Bucket="bucket", Key=key, Body=b"x")
        return keys


class Servers(HealthCase):
    def setUp(self):
        self.stores = [Sheaf(self, blob_pool([folder_url(self, sync="never")]), proxy={"workers": 1}) for _ in range(2)]
        for each in self.stores:
            s3_client(each.target("mail")).create_bucket(Bucket="holder")

    def story(self, path="/holder/below", **options):
        """A store dies, and comes back on its port."""
        self.sheaf = Sheaf(self, blob_pool([url_of(each, path) for each in self.stores], **{**FAST, **options}))
        keys = self.fill()
        store = self.stores[0]
        store.terminate()
        store.wait()
        lost = [key for key in keys if self.status_of(key) == 503]
        self.assertTrue(0 < len(lost) < len(keys), lost)
        yield lost
        with self.assertRaises(ClientError) as caught:      # not asked at all: so it is at once
            self.s3.get_object(Bucket="bucket", Key=lost[0])
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        for key in set(keys) - set(lost):
            self.assertEqual(self.status_of(key), 200)
        store.start()
        yield lost
        for key in keys:
            self.assertEqual(self.status_of(key), 200)

    def test_with_probes_nobody_need_ask(self):
        story = self.story()
        next(story)
        self.await_state("down", reason="connect_refused")
        self.assertNotIn("store.invalid", json.dumps(self.health()))
        self.assertIn("refused", self.health()["text"])
        self.assertEqual(self.health(1)["state"], "up")
        next(story)
        self.await_state("up", reason="")
        self.assertIsNone(next(story, None))

    def test_without_probes_requests_find_out(self):
        story = self.story(probe="no")
        lost = next(story)
        wait_until(lambda: self.status_of(lost[0]) == 503 and self.health()["state"] != "up", what="the breaker to open")
        next(story)
        wait_until(lambda: self.status_of(lost[0]) == 200, what="the store to be tried again")
        self.await_state("up", reason="")
        self.assertIsNone(next(story, None))

    def test_of_a_whole_server_too(self):
        story = self.story(path="", stamp="no")
        next(story)
        self.await_state("down", reason="connect_refused")
        with self.assertRaises(ClientError) as caught:      # and nothing is made on the other
            self.s3.create_bucket(Bucket="nowhere")
        self.assertIn("Shard 0", str(caught.exception))
        self.assertEqual([each["Name"] for each in s3_client(self.stores[1].target("mail")).list_buckets()["Buckets"]], ["bucket", "holder"])
        next(story)
        self.await_state("up", reason="")
        self.assertIsNone(next(story, None))


class Probes(HealthCase):
    def test_a_store_that_stands_still_is_down_as_not_answering(self):
        store = Sheaf(self, blob_pool([folder_url(self)]))
        wire = Faults(self, store.target("mail"))
        self.sheaf = Sheaf(self, blob_pool([f"s3://{ID}:{SECRET}@{wire.address}"], stamp="no",
                                           **{**FAST, "probe_timeout": "300ms"}))
        self.await_state("up")
        wire.black_hole = True
        self.await_state("down", reason="response_timeout")
        wire.black_hole = False
        self.await_state("up", reason="")

    def test_tls_is_verified_as_requests_verify_it(self):
        certificates = Certificates(self.folder() / "certificates")
        store = Sheaf(self, blob_pool([folder_url(self)], listen=f"s3s://127.0.0.1:{free_port()}",
                                      tls_cert=certificates.cert("server"), tls_key=certificates.key("server")))
        port = store.port
        good = f"s3s://{ID}:{SECRET}@127.0.0.1:{port}?ca={certificates.ca}"
        self.sheaf = Sheaf(self, blob_pool([good], stamp="no", **FAST))
        wait_until(lambda: (self.health()["probe"] or {}).get("ok"), what="a good probe")
        self.sheaf.reload(blob_pool([good + "&server_name=elsewhere"], stamp="no", **FAST))
        self.await_state("down", reason="tls_failed")
        self.sheaf.reload(blob_pool([good.replace("s3s:", "s3:") + "&tls=on&server_name=localhost"], stamp="no", **FAST))
        self.await_state("up", reason="")

    def test_a_folder_that_goes_and_comes(self):
        with tempfile.TemporaryDirectory() as above:
            folder = pathlib.Path(above) / "store"
            folder.mkdir()
            self.sheaf = Sheaf(self, blob_pool([f"file://{folder}"], **FAST))
            self.await_state("up", reason="")
            folder.rename(folder.with_name("away"))
            self.await_state("down", reason="connect_refused")
            folder.with_name("away").rename(folder)
            self.await_state("up", reason="")


class Listener:
    """A store that notes what it is told, and has whatever is asked for."""

    def __init__(self, owner):
        self.heads = heads = []

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                heads.append(dict((name.lower(), value) for name, value in self.headers.items()))
                self.send_response(200)
                self.send_header("content-length", "1")
                self.end_headers()
                self.wfile.write(b"x")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        ends_with(owner, self._server.shutdown)


class Keys(HealthCase):
    """Of a store, from elsewhere than its URL."""
    OLD = f"[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
    NEW = "# rotated\n[other]\naws_access_key_id=NO\n[default]\naws_access_key_id=SECOND\naws_secret_access_key=the-new-secret\n"

    def serve(self, port, query, **more):
        self.sheaf = Sheaf(self, blob_pool([f"s3://127.0.0.1:{port}?{query}"], stamp="no", probe="no"), **more)
        self.s3 = s3_client(self.sheaf.target("mail"))

    def test_a_file_is_read_again_when_it_changes(self):
        key_lines = [f"{ID} {SECRET}", "SECOND the-new-secret"]
        sections = [blob_pool([folder_url(self)], access_key=lines) for lines in (key_lines[:1], key_lines[1:])]
        sections[1][1]["listen"] = sections[0][1]["listen"]
        sections[1][1]["shard"] = sections[0][1]["shard"]
        store = Sheaf(self, sections[0])
        file = self.folder() / "credentials"
        file.write_text(self.OLD)
        self.serve(store.port, f"credentials=file&credentials_file={file}")
        self.s3.create_bucket(Bucket="bucket")
        self.s3.put_object(Bucket="bucket", Key="k", Body=b"x")
        store.reload(sections[1])
        wait_until(lambda: self.status_of("k") != 200, what="the store to want other keys")
        file.write_text("[default]\n")
        wait_until(lambda: "those read before are kept" in self.sheaf.log, what="the file to be looked at")
        file.with_name("next").write_text(self.NEW)
        file.with_name("next").rename(file)
        wait_until(lambda: self.status_of("k") == 200, what="the new keys to be used")
        self.assertNotIn("the-new-secret", self.sheaf.log)

    def test_a_file_that_is_being_written_is_not_read(self):
        log = self.folder() / "access"
        store = Sheaf(self, blob_pool([folder_url(self)], access_key=[f"{ID} {SECRET}", "SECOND the-new-secret"],
                                      access_log="json", access_log_file=log))
        file = self.folder() / "credentials"
        file.write_text(self.OLD)
        self.serve(store.port, f"credentials=file&credentials_file={file}")
        self.s3.create_bucket(Bucket="bucket")
        self.s3.put_object(Bucket="bucket", Key="k", Body=b"x")
        for text, key in ((self.NEW, "SECOND"), (self.OLD, ID), (self.NEW, "SECOND")):
            with open(file, "wb", buffering=0) as out:
                cut = text.index("secret_access_key") + 25  # in the secret's midst
                out.write(text[:cut].encode())
                for letter in text[cut:].encode():
                    self.assertEqual(self.status_of("k"), 200)
                    select.select([], [], [], 0.1)
                    out.write(bytes([letter]))

            def is_used():
                self.assertEqual(self.status_of("k"), 200)
                return f'"access_key":"{key}"' in log.read_text().splitlines()[-1]
            wait_until(is_used, what="the new keys to be used")

    def test_the_environment_with_a_token(self):
        store = Listener(self)
        self.serve(store.port, "credentials=environment",
                   env={"AWS_ACCESS_KEY_ID": "FROMENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "token+/=="})
        self.assertEqual(self.status_of("k"), 200)
        head = store.heads[-1]
        self.assertEqual(head["x-amz-security-token"], "token+/==")
        self.assertIn("Credential=FROMENV/", head["authorization"])
        self.assertIn("x-amz-security-token", head["authorization"].split("SignedHeaders=")[1].split(",")[0])

    def test_what_lacks_is_said_before_anything_starts(self):
        missing = self.folder() / "missing"
        for query, complaint in (("credentials=environment", '"AWS_ACCESS_KEY_ID" is not set'),
                                 (f"credentials=file&credentials_file={missing}", f"{missing}: No such file")):
            file = self.folder() / "check.ini"
            file.write_text(ini(blob_pool([f"s3://127.0.0.1:1?{query}"])))
            code, out, err = Sheaf.command("check", file)
            self.assertNotEqual(code, 0)
            self.assertIn(complaint, out + err)

    def test_tls_is_said_by_the_scheme_or_behind_it(self):
        def check(url):
            file = self.folder() / "check.ini"
            file.write_text(ini(blob_pool([url])))
            code, out, err = Sheaf.command("route", file, "mail", "key")
            return out.split("\t")[4].strip() if code == 0 else err
        for url, said in (("s3://a:b@127.0.0.1?tls=on&server_name=x", "127.0.0.1:443"), ("s3://a:b@127.0.0.1:9000?tls=on", "127.0.0.1:9000"),
                          ("s3://a:b@127.0.0.1?tls=off", "127.0.0.1:80"), ("s3s://a:b@127.0.0.1?tls=on", "127.0.0.1:443")):
            self.assertEqual(check(url), said, url)
        for url in ("s3s://a:b@127.0.0.1?tls=off", f"{folder_url(self)}?tls=on"):
            self.assertIn("tls", check(url))


class Places(HealthCase):
    def test_stalwarts_blobs_lie_where_it_placed_them(self):
        folders = [folder_url(self) for _ in range(3)]
        self.sheaf = Sheaf(self, blob_pool(folders, key_transform="stalwart", probe="no"))
        name = "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq"
        [_, hashed, _, shard, _], [_, _, _, other, _] = self.sheaf.route(name, "3" * 51 + "q", name="mail")
        self.assertEqual((hashed, shard, other), ("3523581fe96e4c05", "1", "0"))
        s3 = s3_client(self.sheaf.target("mail"))
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key=f"blobs/{name}", Body=b"x")
        held = [any(pathlib.Path(folder.removeprefix("file://")).rglob(name)) for folder in folders]
        self.assertEqual(held, [False, True, False])

    def test_a_folder_of_stalwarts_is_read_and_written_as_its_own(self):
        """Its blobs lie below the first two bytes of their hashes, in hexadecimal digits without zeros before them."""
        letters = "abcdefghijklmnopqrstuvwxyz792013"

        def name(key):
            bits = "".join(f"{byte:08b}" for byte in key) + "0000"
            return "".join(letters[int(bits[at:at + 5], 2)] for at in range(0, len(key) * 8, 5))
        folders = [self.folder() / f"stalwart-{n}" for n in range(2)]
        for folder in folders:
            folder.mkdir()
        self.sheaf = Sheaf(self, blob_pool([f"file://{folder}?layout=stalwart&bucket=mail" for folder in folders],
                                           key_transform="stalwart", probe="no"))
        s3 = s3_client(self.sheaf.target("mail"))
        self.assertEqual(name(bytes(range(32))), "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq")
        for n in range(12):
            key = bytes([n, 255 - n]) + random.randbytes(30)
            shard = int(self.sheaf.route(name(key), name="mail")[0][3])
            file = folders[shard] / f"{key[0]:x}" / f"{key[1]:x}" / name(key)
            if n % 2:  # what it has put there
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"its own\0")
            else:
                s3.put_object(Bucket="mail", Key=name(key), Body=b"its own\0")
            self.assertEqual(file.read_bytes(), b"its own\0")
            self.assertEqual(s3.get_object(Bucket="mail", Key=name(key))["Body"].read(), b"its own\0")
        self.assertEqual(len(s3.list_objects_v2(Bucket="mail")["Contents"]), 12)
        s3.delete_object(Bucket="mail", Key=name(key))
        self.assertFalse(file.exists())


if __name__ == "__main__":
    main()
