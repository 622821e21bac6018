#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Objects that were put in parts, over folders: a part by its number, checksums of parts and of the whole, and sizes up
to the largest that there is."""
from lib import *
from lib.blob import *
from lib.blob_stages import Mixed, Store

TIB = 1 << 40
NUMBERED = b"<CompleteMultipartUpload>%s</CompleteMultipartUpload>"


def base(value):
    return base64.b64encode(value).decode()


def crc(body):
    return zlib.crc32(body).to_bytes(4, "big")


def sha(body):
    return hashlib.sha256(body).digest()


class Parts(Case):
    @classmethod
    def setUpClass(cls):
        cls.folders = [folder_url(cls, sync="never") for _ in range(2)]
        cls.sheaf = Sheaf(cls, blob_pool(cls.folders), proxy={"workers": 1})
        cls.s3 = s3_client(cls.sheaf.target("mail"))
        cls.s3.create_bucket(Bucket="parts")
        cls.raw = Raw(cls.sheaf.target("mail"))
        cls.bodies = [random.randbytes(5 << 20), random.randbytes((5 << 20) + 1), b"the end"]

    def ask(self, method, path, fields=(), body=b"", status=200):
        reply = self.raw.ask(method, f"/parts/{path}", dict(fields), body)
        self.assertEqual(reply[0], status, reply[:2] + (reply[2][:500],))
        return reply

    def begin(self, key, **fields):
        _, told, text = self.ask("POST", f"{key}?uploads", {"x-amz-checksum-" + name: value for name, value in fields.items()})
        for name, value in fields.items():
            self.assertEqual(told["x-amz-checksum-" + name], value)
        return re.search(rb"<UploadId>(.*?)<", text)[1].decode()

    def put_parts(self, key, upload, bodies=None, fields=lambda body: {}, numbers=(1, 2, 3)):
        """The elements that end the upload, without checksums."""
        tags = [self.ask("PUT", f"{key}?partNumber={n}&uploadId={upload}", fields(body), body)[1]["etag"]
                for n, body in zip(numbers, bodies or self.bodies)]
        return [b"<PartNumber>%d</PartNumber><ETag>%s</ETag>" % (n, tag.encode()) for n, tag in zip(numbers, tags)]

    def end(self, key, upload, parts, status=200, **fields):
        said = {"x-amz-" + name.replace("_", "-"): str(value) for name, value in fields.items()}
        body = NUMBERED % b"".join(b"<Part>" + part + b"</Part>" for part in parts)
        return self.ask("POST", f"{key}?uploadId={upload}", said, body, status)[2].decode()

    def head(self, key, query=""):
        return self.ask("HEAD", key + query, {"x-amz-checksum-mode": "ENABLED"}, status=206 if query else 200)[1]

    def test_a_part_is_got_by_its_number(self):
        upload = self.begin("numbers")
        self.end("numbers", upload, self.put_parts("numbers", upload, numbers=(1, 7, 9)))
        whole, at = b"".join(self.bodies), 0
        for number, body in zip((1, 7, 9), self.bodies):
            status, told, got = self.ask("GET", f"numbers?partNumber={number}", status=206)
            self.assertTrue(got == body)
            self.assertEqual(told["content-range"], f"bytes {at}-{at + len(body) - 1}/{len(whole)}")
            self.assertEqual(told["x-amz-mp-parts-count"], "3")
            at += len(body)
            told = self.head("numbers", f"?partNumber={number}")
            self.assertEqual((told["content-length"], told["x-amz-mp-parts-count"]), (str(len(body)), "3"))
        for number in (2, 8, 10, 10000):
            self.assertIn(b"InvalidPartNumber", self.ask("GET", f"numbers?partNumber={number}", status=416)[2])
        for number in ("0", "10001", "x", "-1", ""):
            self.ask("GET", f"numbers?partNumber={number}", status=400)
        self.assertIn(b"Cannot specify both", self.ask("GET", "numbers?partNumber=1", {"range": "bytes=0-1"}, status=400)[2])
        self.assertNotIn("x-amz-mp-parts-count", self.head("numbers"))
        self.s3.put_object_tagging(Bucket="parts", Key="numbers", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
        self.assertTrue(self.ask("GET", "numbers?partNumber=9", status=206)[2] == b"the end")  # tags do not forget it
        self.assertTrue(self.ask("GET", "numbers")[2] == whole)

    def test_the_checksum_of_the_whole_is_told_verified_and_kept(self):
        whole, crcs, shas = b"".join(self.bodies), [crc(body) for body in self.bodies], [sha(body) for body in self.bodies]
        cases = (("CRC32", "COMPOSITE", base(crc(b"".join(crcs))) + "-3", crcs), ("CRC32", "FULL_OBJECT", base(crc(whole)), crcs),
                 ("SHA256", "COMPOSITE", base(sha(b"".join(shas))) + "-3", shas), ("CRC64NVME", "FULL_OBJECT", None, None),
                 ("CRC32C", "FULL_OBJECT", None, None))
        for n, (algorithm, kind, right, each) in enumerate(cases):
            with self.subTest(algorithm=algorithm, kind=kind):
                key, name, element = f"sums{n}", f"x-amz-checksum-{algorithm.lower()}", f"Checksum{algorithm}"
                upload = self.begin(key, algorithm=algorithm, type=kind)
                parts = self.put_parts(key, upload)  # without theirs: they are computed
                listed = self.ask("GET", f"{key}?uploadId={upload}")[2].decode()
                self.assertIn(f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm>", listed)
                found = re.findall(f"<{element}>(.*?)<", listed)
                self.assertEqual(len(found), 3)
                if each:
                    self.assertEqual(found, [base(one) for one in each])
                wrong = found[1:] + found[:1]
                field = {f"checksum_{algorithm.lower()}": wrong[0] + ("-3" if kind == "COMPOSITE" else "")}
                self.assertIn("BadDigest", self.end(key, upload, parts, 400, **field))
                self.assertIn("InvalidRequest", self.end(key, upload, parts, 400, mp_object_size=len(whole) + 1))
                self.assertIn("InvalidRequest", self.end(key, upload, parts, 400, checksum_sha1=base(bytes(20))))
                named = [part + f"<{element}>{one}</{element}>".encode() for part, one in zip(parts, wrong)]
                self.assertIn("InvalidPart", self.end(key, upload, named, 400))
                self.ask("GET", key, status=404)
                named = [part + f"<{element}>{one}</{element}>".encode() for part, one in zip(parts, found)]
                field = {f"checksum_{algorithm.lower()}": right} if right else {}
                told = self.end(key, upload, named, mp_object_size=len(whole), checksum_type=kind, **field)
                self.assertIn(f"<ChecksumType>{kind}</ChecksumType>", told)
                self.assertIn(element, told)
                value = re.search(f"<{element}>(.*?)<", told)[1]
                if right:
                    self.assertEqual(value, right)
                self.assertEqual((self.head(key)[name], self.head(key)["x-amz-checksum-type"]), (value, kind))
                self.assertEqual(self.head(key, "?partNumber=2")[name], found[1])
                self.assertNotIn(name, self.ask("HEAD", key)[1])
                got = self.ask("GET", f"{key}?attributes", {"x-amz-object-attributes": "Checksum,ObjectParts", "x-amz-max-parts": "2"})[2]
                for text in (f"<{element}>{value}<", f"<{element}>{found[1]}<", "<PartsCount>3<", "<NextPartNumberMarker>2<",
                             "<IsTruncated>true<", f"<Size>{len(self.bodies[1])}<"):
                    self.assertIn(text.encode(), got)
                self.assertNotIn(b"<PartNumber>3<", got)
                if kind == "FULL_OBJECT":  # put together of the parts' as it is, it is that of all bytes in a row
                    self.ask("PUT", key + "whole", {name: value}, whole)
                    self.assertIn(b"BadDigest", self.ask("PUT", key + "whole", {name: value}, whole[:-1] + b"!", 400)[2])
                # A copy within its folder and one in the other: what has no parts has no checksum of them.
                for copy in (f"{key}copy{i}" for i in range(2)):
                    self.s3.copy_object(Bucket="parts", Key=copy, CopySource=f"parts/{key}")
                    told = self.head(copy)
                    if name in told:
                        self.assertEqual(told["x-amz-checksum-type"], "FULL_OBJECT")
                        self.assertEqual(told[name], {"CRC32": base(crc(whole)), "SHA256": base(sha(whole))}.get(algorithm, value))

    def test_checksums_that_there_are_not(self):
        for fields in ({"algorithm": "MD5"}, {"algorithm": "SHA256", "type": "FULL_OBJECT"}, {"algorithm": "CRC64NVME", "type": "COMPOSITE"},
                       {"algorithm": "CRC32", "type": "HALF"}):
            said = {"x-amz-checksum-" + name: value for name, value in fields.items()}
            self.assertIn(b"InvalidRequest", self.ask("POST", "none?uploads", said, status=400)[2])
        upload = self.begin("none")
        parts = self.put_parts("none", upload, [b"x"])
        self.assertIn("InvalidRequest", self.end("none", upload, parts, 400, checksum_crc32=base(crc(b"x"))))
        self.assertIn("InvalidRequest", self.end("none", upload, parts, 400, mp_object_size="x"))
        self.put_parts("none", upload, [b"x"], lambda body: {"x-amz-checksum-crc32": base(crc(body))})
        self.assertIn("BadDigest", self.end("none", upload, parts, 400, checksum_crc32=base(crc(b"y"))))
        self.end("none", upload, parts, checksum_crc32=base(crc(b"x")))

    def test_what_comes_behind_a_body_is_kept_too(self):
        body = random.randbytes(100_000)
        for key in ("behind0", "behind1", "behind2"):
            for name, value in (("crc32", base(crc(body))), ("sha256", base(sha(body)))):
                coded = chunked(body, f"x-amz-checksum-{name}:{value}\r\n".encode())
                fields = {"x-amz-decoded-content-length": str(len(body)), "x-amz-trailer": f"x-amz-checksum-{name}"}
                status, told, _ = self.raw.ask("PUT", f"/parts/{key}", fields, coded, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                self.assertEqual((status, told[f"x-amz-checksum-{name}"], told["x-amz-checksum-type"]), (200, value, "FULL_OBJECT"))
                told = self.head(key)
                self.assertEqual((told[f"x-amz-checksum-{name}"], told["x-amz-checksum-type"]), (value, "FULL_OBJECT"))

    def holes(self, key, size, end):
        """A file of the folder that the key belongs to, as large as is wanted and as small as its end."""
        shard = int(self.sheaf.route(key, name="mail")[0][3])
        path = pathlib.Path(self.folders[shard].removeprefix("file://").partition("?")[0]) / "parts" / key
        with path.open("wb") as file:
            file.truncate(size)
            file.seek(size - len(end))
            file.write(end)
        ends_with(self, path.unlink)

    def test_the_largest_object_that_there_is(self):
        for n in range(2):
            self.holes(f"largest{n}", 5 * TIB, b"the end")
            told = self.ask("HEAD", f"largest{n}")[1]
            self.assertEqual(told["content-length"], str(5 * TIB))
            for first, last in ((5 * TIB - 7, 5 * TIB - 1), (4_900_000_000_000, 4_900_000_000_006)):
                status, told, got = self.ask("GET", f"largest{n}", {"range": f"bytes={first}-{last}"}, status=206)
                self.assertEqual((told["content-range"], got), (f"bytes {first}-{last}/{5 * TIB}", b"the end" if last == 5 * TIB - 1 else bytes(7)))
            self.assertEqual(self.ask("GET", f"largest{n}", {"range": "bytes=-3"}, status=206)[2], b"end")
        listed = self.s3.list_objects_v2(Bucket="parts", Prefix="largest")["Contents"]
        self.assertEqual([each["Size"] for each in listed], [5 * TIB] * 2)

    def test_parts_out_of_an_object_of_more_than_five_gibibytes(self):
        self.holes("huge", 6 << 30, b"x" * 4096)
        for n in range(4):  # within its folder and to the other
            upload = self.begin(f"of-huge{n}")
            where, tags = f"of-huge{n}?uploadId={upload}", []
            for number, (first, last) in enumerate((((6 << 30) - (5 << 20) - 4096, (6 << 30) - 4097), ((6 << 30) - 4096, (6 << 30) - 1)), 1):
                text = self.ask("PUT", f"{where}&partNumber={number}", {"x-amz-copy-source": "/parts/huge",
                                                                        "x-amz-copy-source-range": f"bytes={first}-{last}"})[2]
                tags.append(re.search(rb"<ETag>(.*?)<", text)[1])
            self.end(f"of-huge{n}", upload, [b"<PartNumber>%d</PartNumber><ETag>%s</ETag>" % each for each in enumerate(tags, 1)])
            self.assertTrue(self.ask("GET", f"of-huge{n}")[2] == bytes(5 << 20) + b"x" * 4096)


class Sums(Mixed):
    """Of one body, in front of it and behind it: values as the algorithms' own pages have them."""
    BODY = b"123456789"
    RIGHT = {"crc32": "y/Q5Jg==", "crc32c": base(bytes.fromhex("e3069283")), "crc64nvme": base(bytes.fromhex("ae8b14860a799888")),
             "sha1": base(bytes.fromhex("f7c3bc1d808e04732adf679965ccc34ca7ae3441")), "sha256": base(sha(BODY))}

    def put(self, key, name, value, behind):
        field, fields, body, payload = f"x-amz-checksum-{name}", {}, self.BODY, "UNSIGNED-PAYLOAD"
        if behind:
            fields, payload = {"x-amz-trailer": field, "x-amz-decoded-content-length": len(body)}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
            body = chunked(body, f"{field}:{value}\r\n".encode())
        else:
            fields[field] = value
        return Raw(self.sheaf.target("mail")).ask("PUT", f"/traps/{key}", {name: str(each) for name, each in fields.items()}, body, payload)

    def test_one_that_is_wrong_is_refused_and_nothing_is_seen(self):
        for key in self.keys:
            for name, right in self.RIGHT.items():
                wrong = base(bytes([base64.b64decode(right)[0] ^ 1]) + base64.b64decode(right)[1:])
                for behind in (False, True):
                    with self.subTest(key=key, name=name, behind=behind):
                        self.told(self.put(key, name, wrong, behind), 400, "BadDigest")
                        self.missing(key)
                        self.told(self.put(key, name, right, behind), 200)
                        self.holds(key, self.BODY)
                        self.s3.delete_object(Bucket="traps", Key=key)


class Kept(Case):
    def test_a_checksum_is_kept_by_stores_that_keep_those_of_heads(self):
        kept = {}

        def serve(method, path, fields, body):
            if method == "PUT":
                kept.update(body=body, sum=fields.get("x-amz-checksum-crc32"))
            tells = kept["sum"] is not None and fields.get("x-amz-checksum-mode") == "ENABLED"
            return 200, {"x-amz-checksum-crc32": kept["sum"]} if tells else {}, b"" if method == "PUT" else kept["body"]
        self.sheaf = Sheaf(self, blob_pool([Store(self, serve).url], stamp="no", probe="no"), proxy={"workers": 1})
        raw, body = Raw(self.sheaf.target("mail")), b"some bytes"
        wants, right = {"x-amz-checksum-mode": "ENABLED"}, crc32(body).decode()
        self.assertEqual(raw.ask("PUT", "/traps/k", {"x-amz-checksum-crc32": right}, body)[0], 200)
        status, fields, got = raw.ask("GET", "/traps/k", wants)
        self.assertEqual((status, fields.get("x-amz-checksum-crc32"), got), (200, right, body))
        coded = chunked(body, f"x-amz-checksum-crc32:{right}\r\n".encode())
        said = {"x-amz-trailer": "x-amz-checksum-crc32", "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body))}
        self.assertEqual(raw.ask("PUT", "/traps/k", said, coded, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")[0], 200)
        status, fields, got = raw.ask("GET", "/traps/k", wants)  # it came when the store's head was long out
        self.assertEqual((status, fields.get("x-amz-checksum-crc32"), got), (200, None, body))


if __name__ == "__main__":
    main()
