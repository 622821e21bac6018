#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Buckets as host names: of the endpoint's own clients, and of its stores."""
from lib import *
from lib.blob import *
from lib.process import run
from lib.sigv4 import Signed

HOST = "s3.example.org"


class Hosts(Case):
    """A store that is spoken to by host names, too: Sheaf is both sides."""

    @classmethod
    def setUpClass(cls):
        cls.store = Sheaf(cls, blob_pool([folder_url(cls, sync="never")], virtual_host="localhost"), proxy={"workers": 1})
        port = cls.store.port
        cls.sheaf = Sheaf(cls, blob_pool([f"s3://{ID}:{SECRET}@localhost:{port}?style=virtual", folder_url(cls, sync="never")],
                                         stamp="no", virtual_host=[HOST, "s3.other.org"]))
        # No name server knows these hosts.
        real = socket.getaddrinfo
        cls.addClassCleanup(setattr, socket, "getaddrinfo", real)
        socket.getaddrinfo = lambda host, *rest, **more: real(
            "127.0.0.1" if str(host).endswith((HOST, "s3.other.org")) else host, *rest, **more)
        cls.s3 = {style: s3_client(None, url=f"http://{HOST}:{cls.sheaf.port}", s3={"addressing_style": style})
                  for style in ("virtual", "path")}
        cls.s3["virtual"].create_bucket(Bucket="photos")

    def curl(self, host, path, *words):
        code, out, err = run(["curl", "-sS", "--noproxy", "*", "--connect-to", f"::127.0.0.1:{self.sheaf.port}", "--aws-sigv4",
                              "aws:amz:us-east-1:s3", "-u", f"{ID}:{SECRET}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
                              "-w", "%{http_code}", *words, f"http://{host}{path}"])
        self.assertEqual(code, 0, err)
        return int(out[-3:]), out[:-3]

    def test_a_bucket_is_a_host_or_the_first_of_the_path(self):
        bodies = {f"dir/k {n}": f"{n}".encode() for n in range(12)}
        for key, body in bodies.items():
            self.s3["virtual"].put_object(Bucket="photos", Key=key, Body=body)
        for style, s3 in self.s3.items():
            for key, body in bodies.items():
                self.assertEqual(s3.get_object(Bucket="photos", Key=key)["Body"].read(), body, style)
            self.assertEqual([each["Key"] for each in s3.list_objects_v2(Bucket="photos")["Contents"]], sorted(bodies))
            self.assertIn("photos", [each["Name"] for each in s3.list_buckets()["Buckets"]])
        copied = self.s3["virtual"].copy_object(Bucket="photos", Key="copy", CopySource="photos/dir/k 1")
        self.assertEqual(copied["ResponseMetadata"]["HTTPStatusCode"], 200)
        for key in [*bodies, "copy"]:
            self.s3["virtual"].delete_object(Bucket="photos", Key=key)
        self.assertNotIn("Contents", self.s3["path"].list_objects_v2(Bucket="photos"))

    def test_buckets_come_and_go_by_their_hosts(self):
        for bucket in ("with.dots.in", "plain-one"):
            self.assertEqual(self.curl(f"{bucket}.{HOST}", "/", "-X", "PUT")[0], 200)
            self.assertEqual(self.curl(f"{bucket}.{HOST}", "/a%20b", "-T", "/etc/hostname")[0], 200)
            self.assertIn("<Key>a b</Key>", self.curl(f"{bucket}.{HOST}", "/?list-type=2")[1])
            self.assertIn("<Key>a b</Key>", self.curl(HOST, f"/{bucket}?list-type=2")[1])
            self.assertEqual(self.curl(f"{bucket}.{HOST}", "/", "-X", "DELETE")[0], 409)
            self.assertEqual(self.curl(f"{bucket}.s3.other.org", "/a%20b", "-X", "DELETE")[0], 204)
            self.assertEqual(self.curl(f"{bucket}.{HOST}", "/", "-X", "DELETE")[0], 204)

    def test_hosts_in_capital_letters_and_with_ports_are_the_same(self):
        self.s3["virtual"].put_object(Bucket="photos", Key="o", Body=b"o")
        for host in ("photos.S3.Example.ORG", f"photos.{HOST}:80", f"photos.{HOST}:12345"):
            self.assertEqual(self.curl(f"photos.{HOST}", "/o", "-H", f"Host: {host}"), (200, "o"), host)
        self.s3["virtual"].delete_object(Bucket="photos", Key="o")

    def test_other_hosts_name_no_bucket(self):
        self.s3["virtual"].put_object(Bucket="photos", Key="o", Body=b"o")
        for host in ("photos.elsewhere.org", f"photosx{HOST}", "127.0.0.1"):
            self.assertEqual(self.curl(host, "/photos/o"), (200, "o"), host)
            self.assertIn("InvalidBucketName", self.curl(host, "/o")[1], host)
        for host in (f".{HOST}", f"a b.{HOST}", f"UPPER&.{HOST}"):
            self.assertIn(self.curl(HOST, "/o", "-H", f"Host: {host}")[0], (400, 403, 404), host)
        self.s3["virtual"].delete_object(Bucket="photos", Key="o")


class Sockets(Case):
    """On Unix sockets to both sides: hosts are then what clients call them."""

    def test_objects_by_unix_sockets(self):
        paths = [self.folder() / name for name in ("store.sock", "front.sock")]
        Sheaf(self, blob_pool([folder_url(self, sync="never")], listen=f"s3+unix://{paths[0]}"), proxy={"workers": 1})
        sheaf = Sheaf(self, blob_pool([f"s3+unix://{ID}:{SECRET}@{paths[0]}", folder_url(self, sync="never")], stamp="no",
                                      listen=f"s3+unix://{paths[1]}"))

        def ask(method, path, body=b""):
            request = Signed(method, path, host="anything", key=ID, secret=SECRET)
            with socket.socket(socket.AF_UNIX) as session:
                session.settimeout(20 * SLOW)
                session.connect(str(paths[1]))
                session.sendall(request.head + b"content-length: %d\r\n\r\n" % len(body) + body)
                return answer(session, method)[::2]
        self.assertEqual(ask("PUT", "/photos")[0], 200)
        bodies = {f"k{n}": random.randbytes(n * 9000) for n in range(12)}
        self.assertEqual({place[3] for place in sheaf.route(*bodies, name="mail")}, {"0", "1"})
        for key, body in bodies.items():
            self.assertEqual(ask("PUT", f"/photos/{key}", body)[0], 200)
        for key, body in bodies.items():
            self.assertEqual(ask("GET", f"/photos/{key}"), (200, body))
        self.assertEqual(ask("GET", "/photos?list-type=2")[1].count(b"<Key>"), 12)


if __name__ == "__main__":
    main()
