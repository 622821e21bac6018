#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Forms that a browser uploads with: what a policy allows is taken, nothing else, and nothing by half."""
import xml.etree.ElementTree

from lib import *
from lib.blob import *

KEYS = [f"{ID} {SECRET}", "READER s1 rights=rl", "INBOX s2 buckets=inbox prefixes=in/ rights=w"]


class Forms(Case):
    @classmethod
    def setUpClass(cls):
        cls.store = Sheaf(cls, blob_pool([folder_url(cls, sync="never")]), proxy={"workers": 1})
        host, port = cls.store.target("mail")
        cls.sheaf = Sheaf(cls, blob_pool([f"s3://{ID}:{SECRET}@{host}:{port}", folder_url(cls, sync="never")], stamp="no",
                                         access_key=KEYS, max_object="20mb"))
        cls.s3 = s3_client(cls.sheaf.target("mail"))
        cls.s3.create_bucket(Bucket="inbox")

    def form(self, key, conditions=(), s3=None, **fields):
        return (s3 or self.s3).generate_presigned_post(
            "inbox", key, Fields=fields, Conditions=[*conditions, *({name: value} for name, value in fields.items())])

    def get(self, key):
        return self.s3.get_object(Bucket="inbox", Key=key)["Body"].read()

    def keys(self, prefix):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket="inbox", Prefix=prefix).get("Contents", [])]

    def refused(self, code, answer, prefix="refused/"):
        status, _, body = answer
        self.assertGreaterEqual(status, 400)
        self.assertEqual(xml.etree.ElementTree.fromstring(body).findtext("Code"), code, body)
        self.assertEqual(self.keys(prefix), [])

    def test_the_answer_is_as_the_form_asks(self):
        form = self.form("answers/ü &", success_action_status="201")
        status, fields, body = post_form(form, b"x")
        self.assertEqual(status, 201)
        document = xml.etree.ElementTree.fromstring(body)
        self.assertEqual([(each.tag, each.text) for each in document],
                         [("Location", f"{form['url']}/answers/%C3%BC%20%26"), ("Bucket", "inbox"), ("Key", "answers/ü &"),
                          ("ETag", fields["etag"])])
        self.assertEqual(fields["location"], f"{form['url']}/answers/%C3%BC%20%26")
        url = "https://www.example.org/done?x=1"
        status, fields, body = post_form(self.form("answers/b", success_action_redirect=url), b"x")
        self.assertEqual((status, body), (303, b""))
        self.assertEqual(fields["location"], f"{url}&bucket=inbox&key=answers%2Fb&etag=%229dd4e461268c8034f5c8564e155c67a6%22")
        self.assertEqual(self.get("answers/b"), b"x")

    def test_a_policy_is_law(self):
        self.refused("AccessDenied", post_form(self.form("refused/a"), b"x", **{"x-amz-meta-b": "1"}))
        self.refused("AccessDenied", post_form({**self.form("refused/a"), "fields": {
            **self.form("refused/a")["fields"], "key": "refused/b"}}, b"x"))
        form = self.form("refused/a", [["content-length-range", 3, 1500000]])
        self.refused("EntityTooSmall", post_form(form, b"xx"))
        self.refused("EntityTooLarge", post_form(form, b"x" * 1_500_001))
        self.refused("EntityTooLarge", post_form(self.form("refused/a", [["content-length-range", 0, 10]]), b"x" * 11))
        self.refused("EntityTooLarge", post_form(self.form("refused/a"), b"x" * (20 * 1024 * 1024 + 1)))
        self.assertEqual(post_form(self.form("largest"), b"x" * 20 * 1024 * 1024)[0], 204)
        changed = {**form, "fields": {**form["fields"], "policy": form["fields"]["policy"][:-8] + "AAAAAAA="}}
        self.refused("SignatureDoesNotMatch", post_form(changed, b"xxx"))
        unsigned = {**form, "fields": {name: value for name, value in form["fields"].items() if name in ("key",)}}
        self.refused("AccessDenied", post_form(unsigned, b"xxx"))
        self.refused("AccessDenied", post_form({**form, "url": form["url"].replace("inbox", "other")}, b"xxx"))

    def test_a_key_of_less_rights_allows_no_more_than_it_may(self):
        target = self.sheaf.target("mail")
        self.refused("AccessDenied", post_form(self.form("refused/a", s3=s3_client(target, "READER", "s1")), b"x"))
        inbox = s3_client(target, "INBOX", "s2")
        self.refused("AccessDenied", post_form(self.form("refused/a", s3=inbox), b"x"))
        self.refused("InvalidAccessKeyId", post_form(self.form("refused/a", s3=s3_client(target, "NOBODY", "s2")), b"x"))
        self.refused("AccessDenied", post_form(self.form(".sheaf/${filename}"), b"x"), ".sheaf/")
        self.assertEqual(post_form(self.form("in/${filename}", s3=inbox), b"x", "a")[0], 204)
        self.assertEqual(self.get("in/a"), b"x")

    def test_what_a_form_declares_of_its_file_is_verified(self):
        for size in (100, 3_000_000):
            body = random.randbytes(size)
            for name, right in (("x-amz-checksum-crc32", crc32(body).decode()),
                                ("Content-MD5", base64.b64encode(hashlib.md5(body).digest()).decode())):
                for n in range(3):  # on both shards
                    form = self.form(f"refused/{n}", **{name: right})
                    self.refused("BadDigest", post_form(form, body[:-1] + bytes([body[-1] ^ 1])))
                    self.assertEqual(post_form(form, body)[0], 204)
                    self.assertEqual(self.get(f"refused/{n}"), body)
                    self.s3.delete_object(Bucket="inbox", Key=f"refused/{n}")

    def test_fields_behind_the_file_mean_nothing(self):
        form = self.form("behind/a")
        self.assertEqual(post_form(form, b"x", behind=[("key", "other"), ("submit", "Upload")])[0], 204)
        self.assertEqual((self.get("behind/a"), self.keys("other")), (b"x", []))
        form = self.form("refused/large")  # of a large file its length is to be known
        self.refused("MalformedPOSTRequest", post_form(form, b"x" * 2_000_000, behind=[("submit", "Upload")]))

    def test_what_is_no_form(self):
        form = self.form("refused/a")
        send = lambda body, kind: post(form["url"], body, {"Content-Type": kind})
        self.refused("InvalidRequest", send(b"a=b", "application/x-www-form-urlencoded"))
        self.refused("IncorrectNumberOfFilesInPostRequest", send(b"--b\r\n" + b"--b--\r\n", "multipart/form-data; boundary=c"))
        self.refused("IncorrectNumberOfFilesInPostRequest", send(b"", "multipart/form-data; boundary=b"))
        self.refused("MalformedPOSTRequest", send(b"--b\r\nnonsense\r\n\r\n", "multipart/form-data; boundary=b"))
        body, kind = urllib3.encode_multipart_formdata([*form["fields"].items(), ("file", ("f", b"x" * 1000))])
        for end in range(len(body) - 4, len(body) - 400, -37):
            self.refused("MalformedPOSTRequest", send(body[:end], kind))
        self.refused("InvalidArgument", post_form({**form, "fields": {"policy": form["fields"]["policy"]}}, b"x"))
        self.refused("MaxPostPreDataLengthExceededError", post_form(form, b"x", **{"x-ignore-a": "x" * 70_000}))
        self.refused("MaxPostPreDataLengthExceededError", post_form(form, b"x", **{f"x-ignore-{n}": "" for n in range(130)}))
        self.refused("InvalidArgument", post_form(self.form("refused/a", **{"x-amz-meta-a": "1\r\nx-evil: 1"}), b"x"))

    def test_a_form_in_single_bytes_and_one_that_is_cut(self):
        form = self.form("bytes/a")
        body, kind = urllib3.encode_multipart_formdata([*form["fields"].items(), ("file", ("f", b"\r\n--" * 50))])
        head = (f"POST /inbox HTTP/1.1\r\nHost: {urllib3.util.parse_url(form['url']).netloc}\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with socket.create_connection(self.sheaf.target("mail")) as session:
            session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head + body:
                session.sendall(bytes([byte]))
            self.assertEqual(answer(session)[0], 204)
        self.assertEqual(self.get("bytes/a"), b"\r\n--" * 50)
        form = self.form("refused/cut")
        body, kind = urllib3.encode_multipart_formdata([*form["fields"].items(), ("file", ("f", b"x" * 3_000_000))])
        with socket.create_connection(self.sheaf.target("mail")) as session:
            session.sendall(f"POST /inbox HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
                            .encode() + body[:-10])
        self.assertEqual(self.keys("refused/"), [])

    def test_curl_sends_one_with_tags(self):
        tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>"
        form = self.form("curl/${filename}", tagging=tags)
        words = [word for name, value in form["fields"].items() for word in ("--form-string", f"{name}={value}")]
        code, out, err = run(["curl", "-sS", "-o", "-", "-w", "%{http_code}", *words, "-F", f"file=@{__file__}", form["url"]], seconds=30)
        self.assertEqual((code, out), (0, "204"), err)
        self.assertEqual(self.get("curl/test_blob_forms.py"), pathlib.Path(__file__).read_bytes())
        self.assertEqual(self.s3.get_object_tagging(Bucket="inbox", Key="curl/test_blob_forms.py")["TagSet"],
                         [{"Key": "a b", "Value": "1&2"}])


if __name__ == "__main__":
    main()
