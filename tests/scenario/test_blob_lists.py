#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Lists and copies of blob pools, where implementations of S3 are known to differ."""
import urllib.parse

from lib import *
from lib.blob import *
from lib.blob_stages import XML, Mixed, Store


class Words(Mixed):
    def test_names_are_encoded_where_that_is_asked_and_tokens_are_not(self):
        names = ["w/a b", "w/a+b", "w/c/\u00e4", "w/d&"]
        for name in names:
            self.s3.put_object(Bucket="traps", Key=name, Body=b"")
        text = self.told(self.ask(self.signed("GET", "/traps?list-type=2&encoding-type=url&prefix=w%2F&start-after=w%2Fa&max-keys=2")), 200)
        for part in ("<Prefix>w/</Prefix>", "<StartAfter>w/a</StartAfter>", "<Key>w/a%20b</Key>", "<Key>w/a%2Bb</Key>",
                     "<EncodingType>url</EncodingType>", "<IsTruncated>true</IsTruncated>"):
            self.assertIn(part, text)
        token = re.search("<NextContinuationToken>(.*?)<", text)[1]
        self.assertRegex(token, "^[A-Za-z0-9_-]+$")
        text = self.told(self.ask(self.signed("GET", f"/traps?list-type=2&prefix=w%2F&continuation-token={token}")), 200)
        self.assertIn("<Key>w/d&amp;</Key>", text)
        self.assertNotIn("a+b", text)
        text = self.told(self.ask(self.signed("GET", "/traps?encoding-type=url&prefix=w%2F&delimiter=%2F&marker=w%2Fa%20b&max-keys=2")), 200)
        for part in ("<Marker>w/a%20b</Marker>", "<Delimiter>/</Delimiter>", "<NextMarker>w/c/</NextMarker>", "<Prefix>w/c/</Prefix>"):
            self.assertIn(part, text)
        text = self.told(self.ask(self.signed("GET", "/traps?encoding-type=url&prefix=w%2F&max-keys=3")), 200)
        self.assertIn("<Key>w/c/%C3%A4</Key>", text)
        self.assertNotIn("<NextMarker>", text)  # it is told with a delimiter only
        for name in names:
            self.s3.delete_object(Bucket="traps", Key=name)

    def test_tokens_are_ours_and_of_this_bucket(self):
        self.s3.create_bucket(Bucket="another")
        for key in self.keys:
            self.s3.put_object(Bucket="traps", Key=key, Body=b"")
        token = self.s3.list_objects_v2(Bucket="traps", MaxKeys=1)["NextContinuationToken"]
        for bucket, text, status in (("traps", token, 200), ("another", token, 400), ("traps", "", 400), ("traps", token[:-1] + "_", 400)):
            self.told(self.ask(self.signed("GET", f"/{bucket}?list-type=2&continuation-token={text}")), status)
        for key in self.keys:
            self.s3.delete_object(Bucket="traps", Key=key)

    def test_deletes_of_more_than_is_read_are_refused(self):
        body = b"<Delete>" + b"<Object><Key>%s</Key></Object>" % (b"&amp;" * 1024) * 1000 + b"</Delete>"
        self.assertGreater(len(body), 5_000_000)
        self.assertEqual(self.ask(self.signed("POST", "/traps?delete"), body)[0], 400)


class Copies(Mixed):
    def test_sources_on_a_condition(self):
        tag = self.s3.head_object(Bucket="traps", Key="o")["ETag"]
        past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2049 23:59:59 GMT"
        for key in self.keys:
            for condition, value, status in (
                    ("if-match", tag, 200), ("if-match", '"0"', 412), ("if-none-match", '"0"', 200), ("if-none-match", tag, 412),
                    ("if-modified-since", past, 200), ("if-modified-since", future, 412),
                    ("if-unmodified-since", future, 200), ("if-unmodified-since", past, 412)):
                with self.subTest(key=key, condition=condition, value=value):
                    fields = [("x-amz-copy-source", "/traps/o"), (f"x-amz-copy-source-{condition}", value)]
                    self.told(self.ask(self.signed("PUT", f"/traps/{key}", fields)), status)
                    (self.holds(key, b"0123456789") if status == 200 else self.missing(key))
                    self.s3.delete_object(Bucket="traps", Key=key)

    def test_what_is_larger_than_a_put_is_copied_in_parts_alone(self):
        def serve(method, path, *_):
            if method == "GET" and "big" in path:
                return b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: %d\r\n\r\n" % ((5 << 30) + 1)
            return 200, {**XML, "etag": "e"}, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        stores = [Store(self, serve) for _ in range(2)]
        sheaf = Sheaf(self, blob_pool([each.url for each in stores], stamp="no", probe="no"), proxy={"workers": 1})
        place = int(sheaf.route("big", name="mail")[0][3])
        other = next(f"k{n}" for n in range(20) if int(sheaf.route(f"k{n}", name="mail")[0][3]) != place)
        status, _, text = Raw(sheaf.target("mail")).ask("PUT", f"/traps/{other}", {"x-amz-copy-source": "/traps/big"})
        self.assertEqual((status, b"InvalidRequest" in text), (400, True))
        self.assertEqual([method for method, *_ in stores[1 - place].asked], [])


class Gone(Case):
    """A bucket that is deleted goes on all shards or on none, with the stamps that are ours."""

    def over(self, *pages):
        def serve(page):
            def answer_to(method, path, *_):
                if method != "GET":
                    return 204, {}, b""
                if "versions" in path and page is None:
                    return 501, XML, b"<Error><Code>NotImplemented</Code></Error>"
                name = "ListVersionsResult" if "versions" in path else "ListBucketResult"
                plain = "<Contents><Key>.sheaf/stamp</Key><Size>1</Size></Contents>"
                return 200, XML, f"<{name}><IsTruncated>false</IsTruncated>{plain if page is None else page}</{name}>".encode()
            return answer_to
        stores = [Store(self, serve(page)) for page in pages]
        self.sheaf = Sheaf(self, blob_pool([each.url for each in stores], stamp="no", probe="no"), proxy={"workers": 1})
        return stores

    def deleted(self, store):
        return [path for method, path, *_ in store.asked if method == "DELETE"]

    def test_stamps_go_with_all_their_versions(self):
        stamp = "<Key>.sheaf/stamp</Key><VersionId>%s</VersionId><IsLatest>false</IsLatest>"
        stores = self.over("", f"<DeleteMarker>{stamp % 'v2'}</DeleteMarker><Version>{stamp % 'v1'}</Version>", None)
        s3_client(self.sheaf.target("mail")).delete_bucket(Bucket="traps")
        self.assertEqual(self.deleted(stores[0]), ["/traps"])
        told = self.deleted(stores[1])
        self.assertEqual((sorted(told[:2]), told[2:]), ([f"/traps/.sheaf/stamp?versionId=v{n}" for n in (1, 2)], ["/traps"]))
        self.assertEqual(self.deleted(stores[2]), ["/traps/.sheaf/stamp", "/traps"])

    def test_of_a_bucket_with_versions_that_nobody_sees_nothing_goes(self):
        stores = self.over("", "<DeleteMarker><Key>k</Key><VersionId>v</VersionId><IsLatest>true</IsLatest></DeleteMarker>")
        with self.assertRaises(ClientError) as caught:
            s3_client(self.sheaf.target("mail")).delete_bucket(Bucket="traps")
        self.assertEqual(caught.exception.response["Error"]["Code"], "BucketNotEmpty")
        self.assertEqual([self.deleted(store) for store in stores], [[], []])


class OddLists(Case):
    """Two stores that list as some do; the merged list is that of one that does it as Amazon's."""
    NAMES = sorted({f"{a}{b}" for a in ("a/", "b", "b/", "c/d/", "\uffee", "\U0001f600", "e/") for b in range(5)} | {"a/", "a", "z "},
                   key=str.encode)

    @classmethod
    def setUpClass(cls):
        cls.odd = {}
        cls.stores = []
        for index in range(2):
            cls.stores.append(Store(cls, lambda _, path, __, ___, index=index: cls.list(index, path)))
        cls.sheaf = Sheaf(cls, blob_pool([each.url for each in cls.stores], stamp="no", probe="no"), proxy={"workers": 1})
        cls.places = {name: int(place[3]) for name, place in zip(cls.NAMES, cls.sheaf.route(*cls.NAMES, name="mail"))}
        cls.s3 = s3_client(cls.sheaf.target("mail"))

    @classmethod
    def list(cls, index, path):
        query = dict(urllib.parse.parse_qsl(path.partition("?")[2], keep_blank_values=True))
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, most = query.get("start-after", query.get("marker", "")), int(query.get("max-keys", 1000))
        items, cut = [], False
        for name in cls.NAMES:
            if cls.places[name] != index or not name.startswith(prefix):
                continue
            at = name.find(delimiter, len(prefix)) if delimiter else -1
            kind, shown = ("CommonPrefixes", name[:at + len(delimiter)]) if at >= 0 else ("Contents", name)
            # Some tell a prefix again behind which the marker is, or that it is itself.
            behind = name.encode() > after.encode() if cls.odd.get("prefix again") else shown.encode() > after.encode()
            if not behind or (kind, shown) in items:
                continue
            # Some do not count prefixes.
            if len([1 for each, _ in items if each == "Contents" or not cls.odd.get("prefixes uncounted")]) >= most:
                cut = True
                break
            items.append((kind, shown))
        def one(kind, name):
            name = urllib.parse.quote(name, safe="/")
            return (f"<Contents><Key>{name}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                    if kind == "Contents" else f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>")
        most = 5000 if cls.odd.get("echo") else most
        text = (f"<ListBucketResult><Name>traps</Name><EncodingType>url</EncodingType><MaxKeys>{most}</MaxKeys>"
                f"<IsTruncated>{str(cut).lower()}</IsTruncated>" + ("<NextContinuationToken>theirs</NextContinuationToken>" if cut else "")
                + "".join(one(*each) for each in items) + "</ListBucketResult>")
        return 200, XML, text.encode()

    def expected(self, prefix, delimiter, after=""):
        items = []
        for name in self.NAMES:
            at = name.find(delimiter, len(prefix)) if delimiter else -1
            shown = name[:at + 1] if at >= 0 else name
            if name.startswith(prefix) and shown.encode() > after.encode() and shown not in items:
                items.append(shown)
        return items

    def pages(self, version, size, **query):
        seen, more = [], {"StartAfter": query.pop("after")} if version == 2 else {"Marker": query.pop("after")}
        call = self.s3.list_objects_v2 if version == 2 else self.s3.list_objects
        for _ in range(100):
            page = call(Bucket="traps", MaxKeys=size, **query, **more)
            items = [each["Prefix"] for each in page.get("CommonPrefixes", [])] + [each["Key"] for each in page.get("Contents", [])]
            self.assertLessEqual(len(items), size)
            seen += sorted(items, key=str.encode)
            if not page["IsTruncated"]:
                return seen
            more = {"ContinuationToken": page["NextContinuationToken"]} if version == 2 else {"Marker": page.get("NextMarker") or seen[-1]}
        return self.fail("it does not end")

    def test_pages_of_any_size_join_to_the_whole(self):
        for odd in ((), ("prefix again",), ("prefixes uncounted", "echo"), ("prefix again", "prefixes uncounted")):
            self.odd.clear()
            self.odd.update({each: True for each in odd})
            for version, delimiter, prefix, after, size in (
                    (2, "", "", "", 7), (2, "/", "", "", 1), (2, "/", "", "", 2), (2, "/", "", "a/", 3), (2, "/", "", "a/1", 3),
                    (2, "/", "c/", "", 1), (1, "/", "", "a/", 2), (1, "", "b", "b2", 3), (1, "/", "", "", 1000), (2, "/", "", "a/zzz", 100)):
                with self.subTest(odd=odd, version=version, delimiter=delimiter, prefix=prefix, after=after, size=size):
                    self.assertEqual(self.pages(version, size, Delimiter=delimiter, Prefix=prefix, after=after),
                                     self.expected(prefix, delimiter, after))

    def test_nothing_asked_for_is_nothing_and_the_end(self):
        for version in (self.s3.list_objects, self.s3.list_objects_v2):
            page = version(Bucket="traps", MaxKeys=0)
            self.assertFalse(page["IsTruncated"])
            self.assertNotIn("Contents", page)
        self.assertEqual(self.s3.list_objects_v2(Bucket="traps", MaxKeys=5000)["MaxKeys"], 1000)


if __name__ == "__main__":
    main()
