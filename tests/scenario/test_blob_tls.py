#!/usr/bin/python3
# not under tsan: sessions' own affairs, as in test_tls.py
"""TLS to the clients and to the stores of blob pools: who is believed, by which name, and hosts that are buckets."""
import functools
import ssl

import botocore.exceptions

from lib import *
from lib.blob import *

HOST = "s3.example.org"


class TlsCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates(cls.folder() / "own")
        cls.strangers = Certificates(cls.folder() / "strange")
        cls.certificates.issue("front", names=(f"DNS:{HOST}", f"DNS:*.{HOST}", "IP:127.0.0.1"))

    @classmethod
    def listens(cls, owner, certificates, name="server", shards=(), **options):
        return Sheaf(owner, blob_pool(shards or [folder_url(owner, sync="never")], listen=f"s3s://127.0.0.1:{free_port()}",
                                      tls_cert=certificates.cert(name), tls_key=certificates.key(name), **options), proxy={"workers": 1})


class Stores(TlsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store = cls.listens(cls, cls.certificates, virtual_host="localhost")
        cls.url = f"s3s://{ID}:{SECRET}@127.0.0.1:{cls.store.port}"

    def to(self, url, **options):
        self.sheaf = Sheaf(self, blob_pool([url], stamp="no", probe="no", **options))
        self.s3 = s3_client(self.sheaf.target("mail"))

    def says(self, word):
        """Requests fail, and who they were for and the reason are told."""
        for function in (self.s3.list_buckets, functools.partial(self.s3.put_object, Bucket="bucket", Key="k", Body=b"x" * 100_000)):
            with self.assertRaises(ClientError) as caught:
                function()
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
            self.assertIn(word, str(caught.exception))
            self.assertIn("127.0.0.1:", str(caught.exception))

    def serves(self):
        bucket, body = f"bucket-{random.randrange(1 << 30)}", random.randbytes(3_000_000)
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_object(Bucket=bucket, Key="ä b", Body=body)
        self.assertTrue(self.s3.get_object(Bucket=bucket, Key="ä b")["Body"].read() == body)
        self.assertEqual(self.s3.get_object(Bucket=bucket, Key="ä b", Range="bytes=1000000-1000009")["Body"].read(), body[1000000:1000010])
        self.assertEqual([each["Key"] for each in self.s3.list_objects_v2(Bucket=bucket)["Contents"]], ["ä b"])

    def test_one_of_a_known_authority_serves(self):
        self.to(f"{self.url}?ca={self.certificates.ca}")
        self.serves()

    def test_one_of_an_unknown_authority_is_refused(self):
        self.to(f"{self.url}?ca={self.strangers.ca}")
        self.says("certificate")
        self.to(self.url)  # of whom the system does not know either
        self.says("certificate")

    def test_a_name_that_the_certificate_does_not_have_is_refused(self):
        self.to(f"{self.url}?ca={self.certificates.ca}&server_name=db.example.org")
        self.says("mismatch")
        self.to(f"{self.url}?ca={self.certificates.ca}&server_name=localhost")
        self.serves()

    def test_an_expired_certificate_is_refused(self):
        self.strangers.issue("old", names=("DNS:localhost", "IP:127.0.0.1"), days=-1)
        old = self.listens(self, self.strangers, "old")
        self.to(f"s3s://{ID}:{SECRET}@127.0.0.1:{old.port}?ca={self.strangers.ca}")
        self.says("expired")

    def test_buckets_are_hosts_by_tls_too(self):
        self.to(f"s3s://{ID}:{SECRET}@localhost:{self.store.port}?style=virtual&ca={self.certificates.ca}")
        self.serves()

    def test_plain_to_one_with_tls_and_tls_to_a_plain_one_fail(self):
        self.to(self.url.replace("s3s:", "s3:"))
        with self.assertRaises(ClientError):
            self.s3.list_buckets()
        plain = Sheaf(self, blob_pool([folder_url(self, sync="never")]))
        self.to(f"s3s://{ID}:{SECRET}@127.0.0.1:{plain.port}?ca={self.certificates.ca}")
        self.says("wrong version")


class Fronts(TlsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store = cls.listens(cls, cls.certificates)
        cls.sheaf = cls.listens(cls, cls.certificates, "front", virtual_host=HOST, stamp="no", shards=[
            f"s3s://{ID}:{SECRET}@127.0.0.1:{cls.store.port}?ca={cls.certificates.ca}", folder_url(cls, sync="never")])
        # No name server knows these hosts.
        real = socket.getaddrinfo
        cls.addClassCleanup(setattr, socket, "getaddrinfo", real)
        socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if str(host).endswith(HOST) else host, *rest, **more)
        cls.s3 = {style: s3_client(None, url=f"https://{HOST}:{cls.sheaf.port}", verify=str(cls.certificates.ca),
                                   s3={"addressing_style": style}) for style in ("virtual", "path")}
        cls.s3["virtual"].create_bucket(Bucket="photos")

    def both(self):
        keys = [f"k {n}+ä" for n in range(8)]
        self.assertEqual({place[3] for place in self.sheaf.route(*keys, name="mail")}, {"0", "1"})
        for style, s3 in self.s3.items():
            for key in keys:
                with self.subTest(style=style, key=key):
                    yield s3, {"Bucket": "photos", "Key": key}

    def open(self, url, **more):
        context = self.certificates.client_context()
        return urllib.request.urlopen(urllib.request.Request(url, **more), context=context, timeout=20 * SLOW)

    def test_a_bucket_is_a_host_or_the_first_of_the_path(self):
        body = random.randbytes(300_000)
        for s3, where in self.both():
            s3.put_object(**where, Body=body)
            self.assertTrue(s3.get_object(**where)["Body"].read() == body)
            self.assertEqual(s3.head_object(**where)["ContentLength"], len(body))
            s3.delete_object(**where)

    def test_presigned_urls_and_forms(self):
        for s3, where in self.both():
            self.open(s3.generate_presigned_url("put_object", where), data=b"presigned", method="PUT")
            self.assertEqual(self.open(s3.generate_presigned_url("get_object", where)).read(), b"presigned")
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.open(s3.generate_presigned_url("get_object", where).replace("k%20", "j%20"))
            self.assertEqual(caught.exception.code, 403)
            form = s3.generate_presigned_post(**where)
            body, kind = urllib3.encode_multipart_formdata([*form["fields"].items(), ("file", ("f", b"of a form", "text/x"))])
            self.assertEqual(self.open(form["url"], data=body, headers={"Content-Type": kind}).status, 204)
            self.assertEqual(s3.get_object(**where)["Body"].read(), b"of a form")

    def test_a_client_that_does_not_know_us_ends_the_handshake_and_nothing_else(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            with socket.create_connection(self.sheaf.target("mail")) as session:
                self.strangers.client_context().wrap_socket(session, server_hostname=HOST)
        self.s3["path"].list_buckets()

    def test_clients_may_have_to_show_certificates(self):
        sheaf = self.listens(self, self.certificates, tls_client="required", tls_client_ca=self.certificates.ca)
        url = "https://127.0.0.1:%d" % sheaf.port
        self.certificates.issue("app")
        shown = (str(self.certificates.cert("app")), str(self.certificates.key("app")))
        s3_client(None, url=url, verify=str(self.certificates.ca), client_cert=shown).create_bucket(Bucket="bucket")
        with self.assertRaises(botocore.exceptions.BotoCoreError):
            s3_client(None, url=url, verify=str(self.certificates.ca)).create_bucket(Bucket="bucket")


if __name__ == "__main__":
    main()
