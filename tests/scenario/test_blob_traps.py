#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Where implementations of S3 are known to differ, or to go wrong: signatures and framings of clients, and what stores
make of requests.  Over a store and a folder."""
import contextlib
import email.utils
import threading
import time

from lib import *
from lib.blob import *
from lib.blob_stages import XML, Mixed, Store
from lib.sigv4 import EMPTY, Signed

STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


class Signatures(Mixed):
    def test_clocks_may_be_a_quarter_of_an_hour_off(self):
        for minutes in (-14, 14):
            self.told(self.ask(self.signed("GET", "/traps/o", shift=minutes * 60)), 200)
        for minutes in (-20, 20):
            text = self.told(self.ask(self.signed("GET", "/traps/o", shift=minutes * 60)), 403, "RequestTimeTooSkewed")
            for element in ("RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"):
                self.assertIn(f"<{element}>", text)

    def test_a_region_that_is_not_ours_is_told_which_is(self):
        for region in ("us-east-1", "eu-1"):
            self.told(self.ask(self.signed("GET", "/traps/o", region=region)), 200)
        text = self.told(self.ask(self.signed("GET", "/traps/o", region="eu-2")), 400, "AuthorizationHeaderMalformed")
        self.assertIn("<Region>us-east-1</Region>", text)

    def test_the_payload_must_be_spoken_of(self):
        self.told(self.ask(self.signed("GET", "/traps/o", payload=None)), 400)
        self.told(self.ask(self.signed("GET", "/traps/o", payload="")), 400)
        self.told(self.ask(self.signed("GET", "/traps/o", payload="whatever")), 400)
        self.told(self.ask(self.signed("GET", "/traps/o", payload=EMPTY)), 200)

    def test_paths_are_signed_decoded_once_and_kept(self):
        for path, key in ((b"%c3%a9", "\u00e9"), (b"\xc3\xa9", "\u00e9"), (b"a+b", "a+b"), (b"a%2bb", "a+b"), (b"!*'()", "!*'()"),
                          (b":@=", ":@="), (b"%7E~", "~~"), (b"/x//y", "/x//y"), (b"x/../y", "x/../y"), (b"%252F", "%2F"),
                          (b"a%20b", "a b"), (b"%3F%23", "?#"), (b"&$,;", "&$,;")):
            with self.subTest(path=path):
                self.told(self.ask(self.signed("PUT", b"/traps/" + path), path), 200)
                self.holds(key, path)
                self.told(self.ask(self.signed("DELETE", b"/traps/" + path)), 204)

    def test_queries_are_signed_in_order_and_a_plus_is_a_blank_that_is_signed_as_a_plus(self):
        self.s3.put_object(Bucket="traps", Key="q+r s", Body=b"")
        for query in (b"list-type=2&prefix=q%2Br", b"prefix=q%2Br+s&list-type=2", b"list-type=2&prefix=q%2br%20s", b"prefix=q%2Br&delimiter=",
                      b"list-type=2&fetch-owner&prefix=q%2Br", b"x-id=ListObjectsV2&prefix=q%2Br"):
            with self.subTest(query=query):
                self.assertIn("<Key>q+r s</Key>", self.told(self.ask(self.signed("GET", b"/traps?" + query)), 200))

    def test_fields_are_trimmed_and_joined(self):
        fields = [("x-amz-meta-blanks", "  a   b  "), ("X-Amz-Meta-Two", "1"), ("x-amz-meta-two", "2")]
        self.told(self.ask(self.signed("PUT", "/traps/fields", fields), b"x"), 200)
        self.assertEqual(self.s3.head_object(Bucket="traps", Key="fields")["Metadata"]["two"].replace(" ", ""), "1,2")
        for glue in (",", ", ", " , "):
            self.told(self.ask(self.signed("GET", "/traps/o", glue=glue)), 200)

    def test_what_is_amazons_must_be_signed_and_the_rest_may(self):
        for field in (("x-amz-meta-a", "b"), ("x-amz-acl", "private"), ("x-amz-copy-source", "/traps/o")):
            self.told(self.ask(self.signed("PUT", "/traps/unsigned", [field], unsigned=[field[0]]), b"x"), 403, "AccessDenied")
        self.told(self.ask(self.signed("PUT", "/traps/unsigned", [("x-amz-security-token", "t")]), b"x"), 400, "InvalidToken")
        self.missing("unsigned")
        reply = self.ask(self.signed("GET", "/traps/o", [("range", "bytes=1-2")], unsigned=["range"]))
        self.assertEqual((reply[0], reply[2]), (206, b"12"))
        self.assertGreaterEqual(self.ask(self.signed("GET", "/traps/o", unsigned=["host"]))[0], 400)

    def test_dates_of_both_kinds(self):
        self.told(self.ask(self.signed("GET", "/traps/o", [("date", "Thu, 01 Jan 1970 00:00:00 GMT")], unsigned=["date"])), 200)
        self.told(self.ask(self.signed("GET", "/traps/o", date="date")), 200)
        now = int(time.time())
        for when, shift, status, code in ((now, 0, 200, None), (now - 1200, 0, 403, "RequestTimeTooSkewed"), (now, 2, 403, "SignatureDoesNotMatch")):
            said = [("date", email.utils.formatdate(when, usegmt=True))]  # and what is signed is the same, as the other kind says it
            self.told(self.ask(self.signed("GET", "/traps/o", said, date=None, when=when, shift=shift)), status, code)

    def test_presigned_urls_end_and_have_bounds(self):
        self.told(self.ask(self.signed("GET", "/traps/o", presigned={})), 200)
        self.told(self.ask(self.signed("GET", "/traps/o", presigned={"X-Amz-Expires": 60}, shift=-120)), 403, "AccessDenied")
        for seconds in (0, -1, 604801, "x", ""):
            self.told(self.ask(self.signed("GET", "/traps/o", presigned={"X-Amz-Expires": seconds})), 400,
                      "AuthorizationQueryParametersError")
        self.told(self.ask(self.signed("GET", "/traps/o", presigned={"X-Amz-Expires": 604800}, shift=-600000)), 200)
        digest = hashlib.sha256(b"right").hexdigest()
        for key in self.keys:
            for body, status in ((b"right", 200), (b"wrong", 400)):
                self.told(self.ask(self.signed("PUT", f"/traps/{key}", payload=digest, presigned={"X-Amz-Content-Sha256": digest}),
                                   body), status)
            self.holds(key, b"right")
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_who_is_unknown_hears_no_more_than_that(self):
        self.told(self.ask(self.signed("GET", "/traps/o", key="NOBODY")), 403, "InvalidAccessKeyId")
        text = self.told(self.ask(self.signed("GET", "/traps/o", secret="wrong")), 403, "SignatureDoesNotMatch")
        self.assertNotIn(SECRET, text)


class Bodies(Mixed):
    def test_signed_chunks(self):
        body = random.randbytes(150_000)
        fields = [("content-encoding", "aws-chunked,gzip"), ("x-amz-decoded-content-length", str(len(body)))]
        for key in self.keys:
            request = self.signed("PUT", f"/traps/{key}", fields, STREAMING)
            self.told(self.ask(request, request.chunks(body)), 200)
            self.holds(key, body)
            self.assertEqual(self.s3.head_object(Bucket="traps", Key=key)["ContentEncoding"], "gzip")
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_of_signed_chunks_that_are_wrong_nothing_is_left(self):
        body = random.randbytes(150_000)
        fields = [("x-amz-decoded-content-length", str(len(body)))]
        for key in self.keys:
            for spoil in range(4):
                request = self.signed("PUT", f"/traps/{key}", fields, STREAMING)
                self.told(self.ask(request, request.chunks(body, spoil=spoil)), 403, "SignatureDoesNotMatch")
                self.missing(key)
            request = self.signed("PUT", f"/traps/{key}", fields, STREAMING)
            self.told(self.ask(request, request.chunks(body[:-1] + b"x")[:-100]), 400)
            self.missing(key)

    def test_signed_trailers(self):
        body = random.randbytes(100_000)
        right, wrong = (f"x-amz-checksum-crc32:{crc32(each).decode()}" for each in (body, b"other"))
        fields = [("x-amz-decoded-content-length", str(len(body))), ("x-amz-trailer", "x-amz-checksum-crc32")]
        for key in self.keys:
            for trailer, spoil, status, code in ((wrong, None, 400, "BadDigest"), (right, "trailer", 403, "SignatureDoesNotMatch"),
                                                 (right, None, 200, None)):
                request = self.signed("PUT", f"/traps/{key}", fields, STREAMING + "-TRAILER")
                self.missing(key)
                self.told(self.ask(request, request.chunks(body, trailer=trailer, spoil=spoil)), status, code)
            self.holds(key, body)
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_lengths_that_are_missing(self):
        for key in self.keys:
            put = self.signed("PUT", f"/traps/{key}")
            self.told(self.ask(put, framing=b""), 411, "MissingContentLength")
            self.told(self.ask(put, b"1\r\nx\r\n0\r\n\r\n", b"transfer-encoding: chunked\r\n"), 411, "MissingContentLength")
            self.missing(key)
            put = self.signed("PUT", f"/traps/{key}", [("x-amz-decoded-content-length", "1")])
            self.told(self.ask(put, b"1\r\nx\r\n0\r\n\r\n", b"transfer-encoding: chunked\r\n"), 200)
            self.holds(key, b"x")
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_lengths_that_are_lies(self):
        for key in self.keys:
            for said, body in ((10, b"x" * 9), (10, b"x" * 11), (0, b"x"), (1, b"")):
                put = self.signed("PUT", f"/traps/{key}", [("x-amz-decoded-content-length", str(said))],
                                  "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                self.told(self.ask(put, chunked(body)), 400)
                self.missing(key)

    def test_answers_without_bodies_have_none(self):
        tag = self.s3.head_object(Bucket="traps", Key="o")["ETag"]
        for method, path, fields, status in (
                ("HEAD", "/traps/o", (), 200), ("HEAD", "/traps/none", (), 404), ("HEAD", "/none-of-ours", (), 404),
                ("HEAD", "/traps/o", [("if-match", '"x"')], 412), ("GET", "/traps/o", [("if-none-match", tag)], 304),
                ("DELETE", "/traps/none", (), 204)):
            with socket.create_connection(self.sheaf.target("mail"), timeout=20 * SLOW) as session:
                session.sendall(self.signed(method, path, fields).head + b"\r\n")
                first = answer(session, method)
                self.assertEqual(first[0], status)
                if status == 304:
                    self.assertEqual(first[1]["etag"], tag)
                if (method, status) == ("HEAD", 200):
                    self.assertEqual(first[1]["content-length"], "10")
                session.sendall(self.signed("GET", "/traps/o").head + b"\r\n")
                self.assertEqual(answer(session)[2], b"0123456789", f"after {method} {path}: {status}")


DONE = b'<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'
BAD = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>after all</Message></Error>'
NO_UPLOAD = b'<?xml version="1.0"?><Error><Code>NoSuchUpload</Code><Message>it is gone</Message></Error>'


class Answers(Mixed):
    """Fields that a client wants his answer to have."""

    def test_they_are_as_asked_from_every_store(self):
        said = {"ContentType": "text/x", "ContentDisposition": 'attachment; filename="a b+c"', "CacheControl": "no-store",
                "ContentEncoding": "x-odd", "ContentLanguage": "de"}
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"x", ContentType="text/y", ContentLanguage="en", CacheControl="max-age=1")
            told = self.s3.get_object(Bucket="traps", Key=key, **{"Response" + name: value for name, value in said.items()})
            self.assertEqual({name: told[name] for name in said}, said)
            told = self.s3.get_object(Bucket="traps", Key=key, ResponseContentLanguage="fr")
            self.assertEqual((told["ContentType"], told["ContentLanguage"], told["CacheControl"]), ("text/y", "fr", "max-age=1"))

    def test_what_is_no_fields_value_no_store_hears_of(self):
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"x")
            for value in ("a%0d%0Ax-evil:%201", "a%0ab", "%00", "%7f"):
                self.told(self.ask(self.signed("GET", f"/traps/{key}?response-content-type={value}")), 400, "InvalidArgument")


class Conditions(Mixed):
    def put(self, key, body=b"y", **fields):
        return self.ask(self.signed("PUT", f"/traps/{key}", [(name.replace("_", "-"), value) for name, value in fields.items()]), body)

    def test_puts_on_a_condition(self):
        for key in self.keys:
            tag = self.s3.put_object(Bucket="traps", Key=key, Body=b"x")["ETag"]
            self.told(self.put(key, if_none_match="*"), 412, "PreconditionFailed")
            self.told(self.put(key, if_match='"0"'), 412, "PreconditionFailed")
            self.told(self.put(key, if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT"), 501, "NotImplemented")
            self.holds(key, b"x")
            self.told(self.put(key, if_match=tag), 200)
            self.told(self.put(key + "new", if_none_match="*"), 200)
            self.holds(key, b"y")

    def test_deletes_on_a_condition_that_a_store_may_not_heed_are_not_done(self):
        for key, answers in zip(self.keys, ((501, 501, 501), (412, 501, 204))):
            tag = self.s3.put_object(Bucket="traps", Key=key, Body=b"x")["ETag"]
            for field, status in zip((("if-match", '"0"'), ("x-amz-if-match-size", "5"), ("if-match", tag)), answers):
                self.holds(key, b"x")
                self.told(self.ask(self.signed("DELETE", f"/traps/{key}", [field])), status)

    def test_copies_and_ends_of_uploads_on_a_condition(self):
        """A server that heeds puts may not heed these: its copies are made by puts, its uploads' ends refused."""
        for key, ends in zip(self.keys, ((501, 501, 501), (412, 412, 200))):
            tag = self.s3.put_object(Bucket="traps", Key=key, Body=b"old")["ETag"]
            for field, copied, ended in zip((("if-none-match", "*"), ("if-match", '"0"'), ("if-match", tag)), (412, 412, 200), ends):
                for source in self.keys:
                    self.s3.put_object(Bucket="traps", Key=source + " source", Body=b"new")
                    self.s3.put_object(Bucket="traps", Key=key, Body=b"old")
                    self.told(self.ask(self.signed("PUT", f"/traps/{key}", [("x-amz-copy-source", f"/traps/{source}%20source"), field])), copied)
                    self.holds(key, b"new" if copied == 200 else b"old")
                self.s3.put_object(Bucket="traps", Key=key, Body=b"old")
                upload = self.s3.create_multipart_upload(Bucket="traps", Key=key)["UploadId"]
                part = self.s3.upload_part(Bucket="traps", Key=key, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
                body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>"
                self.told(self.ask(self.signed("POST", f"/traps/{key}?uploadId={upload}", [field]), body.encode()), ended)
                self.holds(key, b"part" if ended == 200 else b"old")
            for name in (key, key + " source"):
                self.s3.delete_object(Bucket="traps", Key=name)

    def test_many_deletes_on_conditions_are_done_where_these_are_heeded(self):
        tags = {key: self.s3.put_object(Bucket="traps", Key=key, Body=key.encode())["ETag"] for key in self.keys}

        def delete(more):
            body = "<Delete>" + "".join(f"<Object><Key>{key}</Key>{more(key)}</Object>" for key in self.keys) + "</Delete>"
            reply = self.told(self.ask(self.signed("POST", "/traps?delete"), body.encode()), 200)
            return [re.search(f"<Key>{key}</Key>(?:<Code>(.*?)</Code>)?", reply)[1] for key in self.keys]
        # The server's conditions are those of puts alone, as nothing else is said of it.
        self.assertEqual(delete(lambda key: '<ETag>"0"</ETag>'), ["NotImplemented", "PreconditionFailed"])
        self.assertEqual(delete(lambda key: "<Size>2</Size>"), ["NotImplemented", "NotImplemented"])
        for key in self.keys:
            self.holds(key, key.encode())
        self.assertEqual(delete(lambda key: f"<ETag>{tags[key]}</ETag>"), ["NotImplemented", None])
        self.holds(self.keys[0], self.keys[0].encode())
        self.missing(self.keys[1])
        self.s3.delete_object(Bucket="traps", Key=self.keys[0])

    def test_a_store_that_heeds_them_is_told_conditions_of_many_deletes(self):
        sheaf = Sheaf(self, blob_pool(["s3://%s:%s@%s:%d?conditions=all" % (ID, SECRET, *self.store.target("mail"))], stamp="no"),
                      proxy={"workers": 1})
        s3 = s3_client(sheaf.target("mail"))
        tag = s3.put_object(Bucket="traps", Key="m", Body=b"x")["ETag"]
        raw = Raw(sheaf.target("mail"))
        for etag, code in (('"0"', b"PreconditionFailed"), (tag, b"")):
            reply = raw.ask("POST", "/traps?delete", body=f"<Delete><Object><Key>m</Key><ETag>{etag}</ETag></Object></Delete>".encode())
            self.assertEqual((re.findall(rb"<Code>(.*?)<", reply[2]) + [b""])[0], code, reply)
        self.missing("m")

    def test_a_condition_in_several_fields(self):
        for key in self.keys:
            tag = self.s3.put_object(Bucket="traps", Key=key, Body=b"x")["ETag"]
            for tags, status in ((('"0"', tag), 200), (('"0"', '"1"'), 412)):
                self.assertEqual(self.ask(self.signed("GET", f"/traps/{key}", [("if-match", each) for each in tags]))[0], status)


class Asked(Mixed):
    """What is not offered is refused, by whatever it is asked, and nothing is done in its stead."""

    def test_parts_of_s3_that_a_method_does_not_have_are_not_passed_over(self):
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"kept")
            for method, queries in (("PUT", ("uploadId=x", "partNumber=1", "uploads", "attributes", "versions", "delete")),
                                    ("DELETE", ("acl", "attributes", "uploads", "partNumber=1", "location")),
                                    ("GET", ("uploads", "location", "delete")), ("POST", ("acl", "tagging"))):
                for query in queries:
                    with self.subTest(method=method, query=query):
                        self.assertIn(self.ask(self.signed(method, f"/traps/{key}?{query}"), b"lost" if method == "PUT" else b"")[0],
                                      (405, 501))
                        self.holds(key, b"kept")
            for method in ("PUT", "DELETE"):
                self.told(self.ask(self.signed(method, f"/traps/{key}?versionId=v"), b""), 400 if method == "PUT" else 404)
                self.holds(key, b"kept")
            self.s3.delete_object(Bucket="traps", Key=key)
        self.s3.create_bucket(Bucket="to-stay")
        for query in ("acl", "uploads", "versions", "versioning", "location", "delete", "list-type=2"):
            self.told(self.ask(self.signed("DELETE", f"/to-stay?{query}")), 405, "MethodNotAllowed")
        self.s3.head_bucket(Bucket="to-stay")
        self.told(self.ask(self.signed("GET", "/traps?list-type=3")), 400, "InvalidArgument")

    def test_fields_that_ask_for_what_is_not_offered(self):
        for key in self.keys:
            for fields, status in (
                    ((("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z")), 501),
                    ((("x-amz-object-lock-legal-hold", "ON"),), 501), ((("x-amz-write-offset-bytes", "1"),), 501),
                    ((("x-amz-expected-bucket-owner", "111122223333"),), 501), ((("x-amz-checksum-md5", "AAAA"),), 501),
                    ((("X-Amz-Checksum-Xxhash3", "AAAA"),), 501), ((("content-md5", "no digest"),), 400),
                    # These are of the folders, of which the server is one, too.
                    ((("x-amz-server-side-encryption", "AES256"),), 501), ((("x-amz-acl", "public-read"),), 501),
                    ((("x-amz-server-side-encryption-customer-algorithm", "AES256"),), 501),
                    ((("x-amz-grant-read", 'id="1"'),), 501), ((("x-amz-storage-class", "GLACIER"),), 400),
                    ((("x-amz-tagging", "a=1&a=2"),), 400), ((("x-amz-tagging", "&".join(f"{n}=1" for n in range(11))),), 400),
                    ((("x-amz-tagging", f"{'a' * 129}=1"),), 400), ((("x-amz-tagging", f"a={'1' * 257}"),), 400)):
                with self.subTest(key=key, fields=fields):
                    self.told(self.ask(self.signed("PUT", f"/traps/{key}", fields), b"x"), status)
                    self.missing(key)
            self.told(self.ask(self.signed("PUT", f"/traps/{key}", [("x-amz-acl", "private"), ("x-amz-storage-class", "STANDARD"),
                                                                    ("x-amz-tagging", "%C3%A4=1&b=%2B")]), b"x"), 200)
            self.assertEqual(self.s3.get_object_tagging(Bucket="traps", Key=key)["TagSet"],
                             [{"Key": "\u00e4", "Value": "1"}, {"Key": "b", "Value": "+"}])
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_a_checksum_of_an_object_of_parts_is_not_passed_over(self):
        for key, refusal in zip(self.keys, ((501, "NotImplemented"), (400, "InvalidRequest"))):  # a folder looks for itself
            upload = self.s3.create_multipart_upload(Bucket="traps", Key=key)["UploadId"]
            part = self.s3.upload_part(Bucket="traps", Key=key, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
            body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>".encode()
            for field in (("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-mp-object-size", "5")):
                self.told(self.ask(self.signed("POST", f"/traps/{key}?uploadId={upload}", [field]), body), *refusal)
                self.missing(key)
            for fields in ((), [("x-amz-mp-object-size", "4")]):  # once it is done it is said again
                self.told(self.ask(self.signed("POST", f"/traps/{key}?uploadId={upload}", fields), body), 200)
            self.holds(key, b"part")
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_a_copy_is_told_how_in_words_that_are_known(self):
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"kept", Metadata={"a": "1"})
            for source, field in (("o", ("x-amz-metadata-directive", "MERGE")), ("o", ("x-amz-tagging-directive", "replace")),
                                  (key, ("x-amz-metadata-directive", "COPY"))):
                self.told(self.ask(self.signed("PUT", f"/traps/{key}", [("x-amz-copy-source", f"/traps/{source}"), field])), 400)
                self.holds(key, b"kept")
            self.s3.copy_object(Bucket="traps", Key=key, CopySource=f"traps/{key}", MetadataDirective="REPLACE", Metadata={"a": "2"})
            self.assertEqual(self.s3.head_object(Bucket="traps", Key=key)["Metadata"], {"a": "2"})
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_a_part_of_an_object_is_copied_as_it_was_asked_for_or_not_at_all(self):
        for key in self.keys:
            upload = self.s3.create_multipart_upload(Bucket="traps", Key=key)["UploadId"]
            for source in self.keys:
                self.s3.put_object(Bucket="traps", Key=source + " source", Body=b"0123456789")

                def copy(text, source=source, where=f"/traps/{key}?partNumber=1&uploadId={upload}"):
                    fields = [("x-amz-copy-source", f"/traps/{source}%20source"), ("x-amz-copy-source-range", text)]
                    return self.ask(self.signed("PUT", where, fields))
                for text in ("bytes=0-1,4-5", "bytes=-3", "bytes=3-", "bytes=3-2", "0-1", "bytes=0-99999999999999999999", ""):
                    self.told(copy(text), 400, "InvalidArgument")
                for text in ("bytes=0-10", "bytes=9-10", "bytes=10-11"):
                    self.told(copy(text), 416, "InvalidRange")
                self.told(copy("bytes=0-1", where=f"/traps/{key}"), 501)  # of CopyObject
                self.assertNotIn("Parts", self.s3.list_parts(Bucket="traps", Key=key, UploadId=upload))
            self.told(copy("bytes=2-9"), 200)
            self.assertEqual(self.s3.list_parts(Bucket="traps", Key=key, UploadId=upload)["Parts"][0]["Size"], 8)
            self.s3.abort_multipart_upload(Bucket="traps", Key=key, UploadId=upload)

    def test_an_object_that_was_put_whole_is_its_first_part(self):
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"0123456789")
            self.assertEqual(self.s3.get_object(Bucket="traps", Key=key, PartNumber=1)["Body"].read(), b"0123456789")
            self.told(self.ask(self.signed("GET", f"/traps/{key}?partNumber=2")), 416, "InvalidPartNumber")
            self.s3.delete_object(Bucket="traps", Key=key)


class Stores(Case):
    """What is said to stores, and what is made of their answers."""

    def over(self, serve, count=1, **options):
        self.stores = [Store(self, serve) for _ in range(count)]
        self.sheaf = Sheaf(self, blob_pool([each.url for each in self.stores], stamp="no", probe="no", **options), proxy={"workers": 1})
        self.s3 = s3_client(self.sheaf.target("mail"))
        return self.stores[0]

    def over_raw(self, speak):
        """A store that says what it likes on each connection."""
        listener = socket.create_server(("127.0.0.1", 0))
        ends_with(self, listener.close)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=hold, args=(listener.accept()[0],), daemon=True).start()

        def hold(wire):
            with contextlib.suppress(OSError), wire:
                speak(wire)
        threading.Thread(target=serve, daemon=True).start()
        self.sheaf = Sheaf(self, blob_pool(["s3://a:b@127.0.0.1:%d" % listener.getsockname()[1]], stamp="no", probe="no"),
                           proxy={"workers": 1})

    def test_a_store_hears_plain_requests(self):
        store = self.over(lambda method, *_: (200, {"etag": '"e"'}, b""))
        body = random.randbytes(2_000_000)
        fields = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", str(len(body))), ("expect", "100-continue"),
                  ("x-amz-trailer", "x-amz-checksum-crc32"), ("amz-sdk-invocation-id", "i"), ("amz-sdk-request", "attempt=1"),
                  ("connection", "keep-alive"), ("te", "trailers"), ("user-agent", "x"), ("cookie", "c"), ("x-amz-meta-kept", "k"),
                  ("x-amz-sdk-checksum-algorithm", "CRC32"), ("content-type", "a/b"), ("x-forwarded-host", "elsewhere")]
        request = Signed("PUT", "/traps/a%2fb%25?x-id=PutObject", fields, "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                         host="%s:%d" % self.sheaf.target("mail"), key=ID, secret=SECRET)
        coded = chunked(body, b"x-amz-checksum-crc32:" + crc32(body) + b"\r\n")
        with socket.create_connection(self.sheaf.target("mail"), timeout=20 * SLOW) as session:
            session.sendall(request.head + b"content-length: %d\r\n\r\n" % len(coded) + coded)
            while not (line := session.recv(25)).startswith(b"HTTP/1.1 100"):
                self.fail(line)
            self.assertEqual(answer(session, "PUT")[0], 200)
        [(method, path, said, got)] = store.asked
        self.assertEqual((method, path), ("PUT", "/traps/a/b%25"))
        self.assertTrue(got == body)
        self.assertEqual(said["content-length"], str(len(body)))
        self.assertEqual((said["content-type"], said["x-amz-meta-kept"]), ("a/b", "k"))
        self.assertIn("Credential=STORE/", said["authorization"])
        for name in ("content-encoding", "transfer-encoding", "x-amz-decoded-content-length", "x-amz-trailer", "te", "cookie",
                     "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-security-token", "x-forwarded-host"):
            self.assertNotIn(name, said)

    def test_deletes_of_many_come_with_a_digest_and_sources_encoded_once(self):
        store = self.over(lambda method, path, *_: (200, XML, b"<DeleteResult/>" if "delete" in path else
                                                    b"<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"))
        self.s3.delete_objects(Bucket="traps", Delete={"Objects": [{"Key": "a"}]})
        _, _, said, body = store.asked[-1]
        self.assertEqual(said["content-md5"], base64.b64encode(hashlib.md5(body).digest()).decode())
        for source, version in (("traps/a%2525b", ""), ("/traps/a%2525b", ""), ("traps/a%2525b?versionId=v", "?versionId=v"),
                                ("traps/a%2525b?versionId=v%2B%2F1", "?versionId=v%2B%2F1"), ("traps%2Fa%2525b", ""), ("/traps/%61%2525b", "")):
            self.assertEqual(Raw(self.sheaf.target("mail")).ask("PUT", "/traps/c", {"x-amz-copy-source": source})[0], 200)
            self.assertEqual(store.asked[-1][2]["x-amz-copy-source"], "/traps/a%2525b" + version)
            self.assertEqual(store.asked[-1][3], b"")

    def test_refusals_of_stores_are_told_in_words_of_s3_and_ours(self):
        texts = [b"<Error><Code>NoSuchKey</Code><Message></Message><BucketName>inner</BucketName><RequestId>tx-7</RequestId></Error>",
                 b"<html><body>404 Not Found</body></html>", b"", b"<Error><Code>Odd</Code>" + b"<Message>m</Message>" * 5000 + b"</Error>"]
        self.over(lambda method, path, *_: (404, {**XML, "x-amz-delete-marker": "true", "server": "store"}, texts[int(path[-1])]))
        for n in range(len(texts)):
            for method, parameters in (("GET", ""), ("PUT", ""), ("GET", "tagging&")):
                status, fields, text = Raw(self.sheaf.target("mail")).ask(method, f"/traps/k?{parameters}n={n}", body=b"" if method == "GET" else b"b")
                told = dict(re.findall(r"<(\w+)>([^<]+)<", text.decode()))
                self.assertEqual((status, told["Code"], told["Message"]), (404, "NoSuchKey", "The specified key does not exist."))
                self.assertEqual((told["Key"], told["Resource"], told["BucketName"]), ("k", "/traps/k", "traps"))
                self.assertEqual((told["RequestId"], told.get("HostId")), (fields["x-amz-request-id"], "tx-7" if n == 0 else None))
                self.assertEqual((fields["x-amz-delete-marker"], fields["server"]), ("true", "sheaf"))

    def test_a_store_that_does_not_know_what_is_asked_of_an_object_is_not_believed(self):
        kept = {"etag": '"e"', "accept-ranges": "bytes", "content-type": "application/xml"}
        self.over(lambda *_: (200, kept, b"<Tagging><TagSet/></Tagging>"))
        for part in ("attributes", "tagging", "acl"):
            status, _, text = Raw(self.sheaf.target("mail")).ask("GET", f"/traps/a?{part}", {"x-amz-object-attributes": "ETag"})
            self.assertEqual((status, b"<Code>NotImplemented" in text), (501, True), part)
        raw = Raw(self.sheaf.target("mail"))
        for part, etag, status in ((1, '"e"', 200), (2, '"e"', 501), (1, '"e-2"', 501), (2, '"e-2"', 501)):
            kept["etag"] = etag
            for method in ("GET", "HEAD"):
                self.assertEqual(raw.ask(method, f"/traps/a?partNumber={part}")[0], status, (part, etag))

    def test_encryption_is_asked_only_of_stores_that_do_it(self):
        """Swift passes over what asks for it, and keeps in the open what its client believes to be a secret."""
        store = self.over(lambda *_: (200, {"etag": '"e"'}, b""))
        fields = ({"x-amz-server-side-encryption": "AES256"}, {"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256"},
                  {"x-amz-copy-source": "/traps/b", "x-amz-copy-source-server-side-encryption-customer-algorithm": "AES256"})
        form = self.s3.generate_presigned_post("traps", "k", Fields=fields[0], Conditions=[fields[0]])
        for more, status in (("", 501), ("?encryption=yes", 200)):
            sheaf = Sheaf(self, blob_pool([store.url + more], stamp="no", probe="no"), proxy={"workers": 1})
            before = len(store.asked)
            for said in fields:
                told = Raw(sheaf.target("mail")).ask("PUT", "/traps/k", said)[0]
                self.assertEqual(told == 501, not more, (said, told))
            target = "http://%s:%d/traps" % sheaf.target("mail")
            self.assertEqual(post_form({**form, "url": target}, b"x")[0], status if not more else 204)
            asked = store.asked[before:]
            self.assertEqual(len(asked), 4 if more else 0)
            if more:
                self.assertEqual([each[2].get("x-amz-server-side-encryption") for each in asked], ["AES256", None, None, "AES256"])

    def test_stores_hear_of_one_range_or_of_none(self):
        """S3 gives the whole object to who asks for several; stores differ."""
        store = self.over(lambda *_: (200, {"etag": '"e"'}, b"0123456789"))
        raw = Raw(self.sheaf.target("mail"))
        for said, heard in (("bytes=1-2", True), ("bytes=-2", True), ("bytes=0-1,4-5", False), ("bytes=3-2", False), ("lines=1-2", False)):
            status, _, body = raw.ask("GET", "/traps/a", {"range": said})
            self.assertEqual((status, body, "range" in store.asked[-1][2]), (200, b"0123456789", heard), said)

    def test_of_reads_of_any_version_stores_hear_nothing(self):
        """Ceph's gateway takes the asterisk for a tag, and refuses."""
        store = self.over(lambda *_: (200, {"etag": '"e"'}, b""))
        raw = Raw(self.sheaf.target("mail"))
        for method, said, heard in (("GET", "*", False), ("HEAD", "*", False), ("GET", '"*"', True), ("PUT", "*", True)):
            self.assertEqual(raw.ask(method, "/traps/a", {"if-match": said})[0], 200)
            self.assertEqual("if-match" in store.asked[-1][2], heard, (method, said))

    def test_tags_of_writes_are_said_as_the_store_compares_them(self):
        name = ["tx000009685e61f8779098b-006b0babbc-1014-default"]
        for name[0], quoted in (("tx000009685e61f8779098b-006b0babbc-1014-default", False), ("tx8ea1bacdbcc64a349107b-006b0ba3b3", True), ("4442587FB7D0A2F9", True)):
            store = self.over(lambda *_: (200, {"etag": '"e"', "x-amz-request-id": name[0]}, b""))
            raw = Raw(self.sheaf.target("mail"))
            raw.ask("GET", "/traps/k")  # its first answer tells what it is
            for method, said in (("GET", '"e"'), ("PUT", '"e"'), ("PUT", "e"), ("PUT", '"e","f"'), ("PUT", "*")):
                self.assertEqual(raw.ask(method, "/traps/k", {"if-match": said})[0], 200)
                heard = "e" if method == "PUT" and said == '"e"' and not quoted else said
                self.assertEqual(store.asked[-1][2]["if-match"], heard, (name, method))
            self.assertEqual([raw.ask("PUT", "/traps/k", {"if-none-match": said})[0] for said in ("*", '"e"')], [200, 501])

    def test_a_bucket_is_changed_on_all_its_shards_or_on_none(self):
        kept = b"<VersioningConfiguration/>"
        answers = [(200, XML, kept), (501, XML, b"<Error><Code>NotImplemented</Code></Error>")]
        ports = []

        def serve(method, path, fields, _):
            first = fields["host"].endswith(ports[0])
            return (200, {}, b"") if method == "PUT" else answers[0 if first else 1]
        self.over(serve, 2)
        ports += [each.url.rpartition(":")[2] for each in self.stores]
        raw = Raw(self.sheaf.target("mail"))
        said = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        for answers[1], status in ((answers[1], 501), ((200, XML, b"<ListBucketResult/>"), 501), ((200, XML, kept), 200)):
            self.assertEqual(raw.ask("PUT", "/traps?versioning", body=said)[0], status)
            changed = [each for store in self.stores for each in store.asked if each[0] == "PUT"]
            self.assertEqual(len(changed), 2 if status == 200 else 0)
        self.assertEqual({body for _, _, _, body in changed}, {said})
        answers[0] = answers[1] = (200, XML, b"<AccessControlPolicy/>")
        self.assertEqual(raw.ask("PUT", "/traps?acl", {"x-amz-acl": "private"})[0], 200)
        sheaf = Sheaf(self, blob_pool([self.stores[0].url, folder_url(self)], stamp="no", probe="no"), proxy={"workers": 1})
        before = len(self.stores[0].asked)
        for query in ("versioning", "acl"):
            status, _, text = Raw(sheaf.target("mail")).ask("PUT", f"/traps?{query}", {"x-amz-acl": "private"}, said if query == "versioning" else b"")
            self.assertEqual((status, b"is a folder" in text), (501, True), text)
        self.assertEqual(len(self.stores[0].asked), before)

    def test_what_is_asked_of_one_bucket_is_not_done_to_all_in_the_same(self):
        store = self.over(lambda method, *_: (200, {}, b"") if method == "HEAD" else (200, XML, b"<VersioningConfiguration/>"))
        self.sheaf = Sheaf(self, blob_pool([f"{store.url}/holder"], stamp="no", probe="no"), proxy={"workers": 1})
        for query, fields, body in (("versioning", {}, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
                                    ("acl", {"x-amz-acl": "public-read"}, b"")):
            status, _, text = Raw(self.sheaf.target("mail")).ask("PUT", f"/traps?{query}", fields, body)
            self.assertEqual((status, b"one bucket" in text, store.asked), (501, True, []), text)
        status, _, text = Raw(self.sheaf.target("mail")).ask("PUT", "/new", {"x-amz-acl": "public-read"})
        self.assertEqual((status, b"one bucket" in text), (501, True), text)
        self.assertEqual(Raw(self.sheaf.target("mail")).ask("PUT", "/new", {"x-amz-acl": "private"})[0], 200)

    def test_of_a_bucket_that_is_done_on_some_shards_only_these_are_told_and_another_try_ends_it(self):
        ports, answers = [], {}

        def serve(method, path, fields, _):
            if method == "GET":
                gone = answers["DELETE"][fields["host"].endswith(ports[1])][0] == 404
                return answers["DELETE"][0] if gone else (200, XML, b"<ListVersionsResult/>")
            return answers[method][fields["host"].endswith(ports[1])]
        self.over(serve, 2)
        ports += [each.url.rpartition(":")[2] for each in self.stores]
        raw = Raw(self.sheaf.target("mail"))
        done, full, absent = (200, {}, b""), (500, XML, b"<Error><Code>InternalError</Code></Error>"), (404, XML, b"<Error><Code>NoSuchBucket</Code></Error>")
        owned = (409, XML, b"<Error><Code>BucketAlreadyOwnedByYou</Code></Error>")
        for method, first, second, status in (("PUT", done, full, 500), ("PUT", owned, done, 200), ("PUT", owned, owned, 409), ("PUT", full, full, 500),
                                              ("DELETE", (204, {}, b""), full, 500), ("DELETE", absent, (204, {}, b""), 204),
                                              ("DELETE", absent, absent, 404)):
            answers[method] = first, second
            got, _, text = raw.ask(method, "/traps")
            self.assertEqual((got, b"done on others (0)" in text), (status, first != second and status == 500), text)

    def test_a_store_that_keeps_checksums_of_parts_is_told_that_of_the_whole(self):
        kept = {"sum": b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"}

        def serve(method, path, *_):
            if path.endswith("?uploads"):
                return 200, XML, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            return 200, XML, DONE if method == "POST" else (
                b"<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>4</Size>%s</Part></ListPartsResult>" % kept["sum"])
        store = self.over(serve)
        upload = self.s3.create_multipart_upload(Bucket="traps", Key="k")["UploadId"]
        body = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
        raw = Raw(self.sheaf.target("mail"))
        said = {"x-amz-checksum-crc32": "AQAAAA=="}
        self.assertEqual(raw.ask("POST", f"/traps/k?uploadId={upload}", said, body)[0], 200)
        self.assertEqual(store.asked[-1][2]["x-amz-checksum-crc32"], "AQAAAA==")
        self.assertEqual(store.asked[-2][1], "/traps/k?uploadId=u&max-parts=1")
        kept["sum"] = b""
        self.assertEqual(raw.ask("POST", f"/traps/k?uploadId={upload}", said, body)[0], 501)
        self.assertEqual(store.asked[-1][0], "GET")

    def test_versions_that_a_store_tells_are_told(self):
        store = self.over(lambda method, path, *_: (200, {**XML, "x-amz-version-id": "v7", "x-amz-request-id": "theirs"}, (
            b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>" if path.endswith("?uploads") else
            DONE if method == "POST" else b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")))
        upload = self.s3.create_multipart_upload(Bucket="traps", Key="k")["UploadId"]
        for told in (self.s3.complete_multipart_upload(Bucket="traps", Key="k", UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": 1, "ETag": "e"}]}), self.s3.copy_object(Bucket="traps", Key="k", CopySource="traps/a")):
            self.assertEqual(told["VersionId"], "v7")
            self.assertNotEqual(told["ResponseMetadata"]["RequestId"], "theirs")
        self.assertEqual(len(store.asked), 3)

    def test_copies_with_tags_and_other_fields_of_their_own_are_not_left_to_the_store(self):
        """Ceph's gateway loses the one for the other."""
        tags = {"count": "1"}

        def serve(method, path, fields, _):
            if method == "PUT":
                return 200, {**XML, "etag": "e"}, b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
            return 200, {"x-amz-tagging-count": tags["count"], "etag": "e"}, (
                b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>" if "tagging" in path else b"body")
        store = self.over(serve)
        for count, more, by_store, said in (
                ("1", {}, True, None), ("0", {"MetadataDirective": "REPLACE"}, True, None), ("1", {"MetadataDirective": "REPLACE"}, False, "a=1"),
                ("1", {"TaggingDirective": "REPLACE", "Tagging": "b=2"}, False, "b=2")):
            tags["count"] = count
            self.s3.copy_object(Bucket="traps", Key="k", CopySource="traps/a", **more)
            method, _, fields, body = store.asked[-1]
            self.assertEqual((method, "x-amz-copy-source" in fields, body), ("PUT", by_store, b"" if by_store else b"body"), more)
            self.assertEqual(fields.get("x-amz-tagging"), said)

    def test_lists_ask_for_encoded_names_whatever_the_client_wants(self):
        page = (b"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%01%26+b%2Bc</Key><Size>1</Size>"
                b'<ETag>&quot;e&quot;</ETag></Contents></ListBucketResult>')
        store = self.over(lambda *_: (200, XML, page))
        listed = self.s3.list_objects_v2(Bucket="traps")["Contents"]
        self.assertIn("encoding-type=url", store.asked[-1][1])
        self.assertEqual([(each["Key"], each["ETag"]) for each in listed], [("a\x01& b+c", '"e"')])

    def test_a_store_that_knows_no_encoded_names_is_asked_for_plain_ones(self):
        names = ["a%2", "a%41", "a+b", "aB", "b c"]
        page = "<ListBucketResult>" + "".join(f"<Contents><Key>{name}</Key><Size>1</Size></Contents>" for name in names)
        store = self.over(lambda *_: (200, XML, (page + "</ListBucketResult>").encode()))
        for asked in (2, 3, 4):  # twice at first, then it is known
            self.assertEqual([each["Key"] for each in self.s3.list_objects_v2(Bucket="traps")["Contents"]], names)
            self.assertEqual(len(store.asked), asked)
            self.assertNotIn("encoding-type", store.asked[-1][1])

    def test_a_store_that_encodes_names_and_does_not_say_so_is_asked_without(self):
        def serve(method, path, *_):
            key = "a%2525&amp;b" if "encoding-type" in path else "a%25&amp;b"
            return 200, XML, (f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>{key}</Key><UploadId>u</UploadId>"
                              "</Upload></ListMultipartUploadsResult>").encode()
        self.over(serve, 2)
        self.assertEqual([each["Key"] for each in self.s3.list_multipart_uploads(Bucket="traps")["Uploads"]], ["a%25&b"] * 2)

    def test_a_copy_that_lasts_is_answered_before_its_outcome_is_known(self):
        went = threading.Event()
        done = b'<?xml version="1.0"?>\n<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>'
        self.over(lambda method, path, *_: (went.wait(60), (200, XML, done) if "good" in path else (404, XML, b"<Error><Code>NoSuchKey"
                                                                                                    b"</Code></Error>"))[1])
        raw = Raw(self.sheaf.target("mail"))
        with raw.connect() as good, raw.connect() as bad:
            for session, key in ((good, "good"), (bad, "bad")):
                session.sendall(raw.head("PUT", f"/traps/{key}", {"x-amz-copy-source": "/traps/a"}) + b"content-length: 0\r\n\r\n")
            heard = {session: b"" for session in (good, bad)}
            for session in heard:
                while b"<?xml" not in heard[session]:
                    heard[session] += session.recv(65536)
            went.set()
            for session, outcome in ((good, b"<CopyObjectResult>"), (bad, b"<Code>NoSuchKey<")):
                while not heard[session].endswith(b"\r\n0\r\n\r\n"):
                    heard[session] += session.recv(65536)
                self.assertTrue(heard[session].startswith(b"HTTP/1.1 200 OK"))
                self.assertEqual(heard[session].count(b"<?xml"), 1)
                self.assertIn(outcome, heard[session])

    def test_a_success_that_turns_out_to_be_an_error_is_one(self):
        said = {}
        store = self.over(lambda method, path, *_: (200, XML, said["create"] if path.endswith("?uploads") else said["complete"]))
        said["create"] = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        upload = self.s3.create_multipart_upload(Bucket="traps", Key="k")["UploadId"]
        self.assertNotEqual(upload, "u")

        def complete():
            return self.s3.complete_multipart_upload(Bucket="traps", Key="k", UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": 1, "ETag": '"e"'}]})
        for reply, code in ((b" \n" * 100 + BAD, "InternalError"), (b"  ", "InternalError"), (b"", "InternalError"),
                            (DONE[:-10], "InternalError"), (b"<html/>", "InternalError")):
            said["complete"] = reply
            with self.assertRaises(ClientError) as caught:
                complete()
            self.assertEqual(caught.exception.response["Error"]["Code"], code)
            self.assertGreaterEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)
        said["complete"] = b" \n" * 1000 + DONE
        self.assertEqual(complete()["ETag"], '"e-1"')
        self.assertIn("uploadId=u", store.asked[-1][1])

    def test_who_completes_again_what_was_completed_is_told_so(self):
        parts = [hashlib.md5(each).hexdigest() for each in (b"1", b"2")]
        tag = hashlib.md5(b"".join(bytes.fromhex(each) for each in parts)).hexdigest() + "-2"
        held = {"etag": f'"{tag}"'}

        def serve(method, path, *_):
            if path.endswith("?uploads"):
                return 200, XML, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            return (200, held, b"") if method == "HEAD" else (404, XML, NO_UPLOAD)
        self.over(serve)
        upload = self.s3.create_multipart_upload(Bucket="traps", Key="k")["UploadId"]

        def complete():
            return self.s3.complete_multipart_upload(Bucket="traps", Key="k", UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": n, "ETag": f'"{each}"'} for n, each in enumerate(parts, 1)]})
        self.assertEqual(complete()["ETag"], f'"{tag}"')
        held["etag"] = '"another"'
        with self.assertRaises(ClientError) as caught:
            complete()
        self.assertEqual(caught.exception.response["Error"]["Code"], "NoSuchUpload")

    def test_a_copy_that_turns_out_to_be_an_error_is_one(self):
        self.over(lambda *_: (200, XML, b"   " + BAD))
        with self.assertRaises(ClientError) as caught:
            self.s3.copy_object(Bucket="traps", Key="k", CopySource="traps/other")
        self.assertEqual(caught.exception.response["Error"]["Code"], "InternalError")

    def test_an_early_refusal_of_a_store_is_passed_on_and_its_connection_not_used_again(self):
        denied = b"<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>"
        mistakes = []

        def speak(wire):
            heard, refused = b"", False
            while more := wire.recv(65536):
                heard += more
                while b"\r\n\r\n" in heard:
                    head, heard = heard.split(b"\r\n\r\n", 1)
                    mistakes.extend([head] if refused else [])
                    refused = head.startswith(b"PUT")
                    wire.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (
                        b"403 Forbidden" if refused else b"200 OK", len(denied), denied))
        self.over_raw(speak)
        raw = Raw(self.sheaf.target("mail"))
        for size in (100, 3_000_000):
            with raw.connect() as session:
                session.sendall(raw.head("PUT", "/traps/k") + b"content-length: %d\r\n\r\n" % size)
                status, _, text = answer(session, "PUT")
            self.assertEqual(status, 403)
            self.assertIn(b"<Code>QuotaExceeded</Code><Message>full</Message>", text)
            self.assertEqual(raw.ask("GET", "/traps/k", length=False)[0], 200)
        self.assertEqual(mistakes, [])

    def test_what_a_store_may_have_done_is_not_asked_of_it_again(self):
        """It takes a request whole, on a connection that served before, and says nothing."""
        asked = []

        def speak(wire):
            with wire.makefile("rb") as stream:
                while head := stream.readline():
                    length = 0
                    while (line := stream.readline().strip()):
                        length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
                        if line.lower().startswith(b"expect"):
                            wire.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    stream.read(length)
                    asked.append(head.split(b" ")[:2])
                    if b"lost" in head:
                        return
                    wire.sendall(b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n\r\n")
        self.over_raw(speak)
        raw = Raw(self.sheaf.target("mail"))
        for method, path, fields, body in (("PUT", "/traps/lost", {}, b"x" * 3_000_000), ("POST", "/traps/lost?uploads", {}, b""),
                                           ("PUT", "/traps/lost2", {"if-none-match": "*"}, b"")):
            self.assertEqual(raw.ask("GET", "/traps/a")[0], 200)
            self.assertEqual(raw.ask(method, path, fields, body)[0], 503)
            self.assertEqual(asked.count([method.encode(), path.encode()]), 1)

    def test_a_store_cannot_have_kept_what_it_has_not_got(self):
        def speak(wire):
            wire.recv(65536)
            wire.sendall(b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n\r\n")
            wire.recv(1)
        self.over_raw(speak)
        raw = Raw(self.sheaf.target("mail"))
        for fields, said in (((), 5), ({"x-amz-checksum-crc32": crc32(b"other").decode()}, 5), ((), 3_000_000)):
            with raw.connect() as session:
                session.sendall(raw.head("PUT", "/traps/k", fields) + b"content-length: %d\r\n\r\nabc" % said)
                self.assertGreaterEqual(answer(session, "PUT")[0], 400)

    def test_deletes_name_the_keys_of_a_shard_that_is_gone_and_keep_the_order(self):
        def serve(method, path, fields, body):
            keys = re.findall(rb"<Key>([^<]*)</Key>", body)
            return 200, XML, b"<DeleteResult>%s</DeleteResult>" % b"".join(b"<Deleted><Key>%s</Key></Deleted>" % key for key in keys)
        stores = [Store(self, serve), Store(self, lambda *_: b"")]
        self.sheaf = Sheaf(self, blob_pool([each.url for each in stores], stamp="no", probe="no", fall=1000), proxy={"workers": 1})
        self.s3 = s3_client(self.sheaf.target("mail"))
        keys = [f"k{n}" for n in range(1000)]
        lost = [key for key, place in zip(keys, self.sheaf.route(*keys, name="mail")) if place[3] == "1"]
        for quiet in (False, True):
            told = self.s3.delete_objects(Bucket="traps", Delete={"Objects": [{"Key": key} for key in keys], "Quiet": quiet})
            self.assertEqual([each["Key"] for each in told["Errors"]], lost)
            self.assertEqual({each["Code"] for each in told["Errors"]}, {"SlowDown"})
            self.assertEqual([each["Key"] for each in told.get("Deleted", [])],
                             [] if quiet else [key for key in keys if key not in lost])
        with self.assertRaises(ClientError) as caught:
            self.s3.delete_objects(Bucket="traps", Delete={"Objects": [{"Key": f"{n}"} for n in range(1001)]})
        self.assertEqual(caught.exception.response["Error"]["Code"], "MalformedXML")


if __name__ == "__main__":
    main()
