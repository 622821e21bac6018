#!/usr/bin/python3
"""Requests made up at random, signed by botocore and by Sheaf: the signatures must be the same, and what Sheaf
signs it must find right."""
import datetime
import os
import pathlib
import random
import re
import subprocess
import urllib.parse

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lib import *
from lib.sheaf import BINARY

TOOL = pathlib.Path(BINARY).parent / "sigv4"
LETTERS = "abcXYZ019-_.~ !*'()/:@=+&?%;,$#\"<>\\^`{|}\u00e9\u4e2d\U0001f600"
NAMES = ["x-amz-meta-a", "X-Amz-Meta-B", "x-amz-acl", "Range", "Content-Type", "content-md5", "x-amz-copy-source",
         "If-Match", "x-amz-storage-class", "x-amz-meta-zz-9"]


class Signer:
    """Our tool: a request in, lines out."""

    def __init__(self):
        self.process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *parts):
        self.process.stdin.write(b"".join(os.fsencode(str(x)) + b"\0" for x in parts))
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            lines.append(line.decode("utf-8").removesuffix("\r\n"))
        return lines

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


class Fixed(datetime.datetime):
    """botocore asks the clock itself."""
    moment = None

    @classmethod
    def utcnow(cls):
        return cls.moment


def text(rng, least, most, letters=LETTERS):
    return "".join(rng.choice(letters) for _ in range(rng.randint(least, most)))


class Made:
    """A request as both are told of it."""

    def __init__(self, rng):
        self.seconds = rng.randint(1_000_000_000, 4_000_000_000)
        self.method = rng.choice(["GET", "PUT", "HEAD", "POST", "DELETE"])
        self.path = "/" + urllib.parse.quote(text(rng, 0, 30), safe="/~")
        items = {urllib.parse.quote(text(rng, 1, 8), safe="~"): urllib.parse.quote(text(rng, 0, 12), safe="~")
                 for _ in range(rng.choice([0, 0, 1, 2, 5, 20]))}
        self.query = "&".join(f"{k}={v}" for k, v in items.items())
        self.host = rng.choice(["s3.example.org", "127.0.0.1:9000", "b.s3.eu-west-1.amazonaws.com", "[::1]:80"])
        self.fields = {name: text(rng, 1, 12, LETTERS[:37]).strip() or "x"
                       for name in rng.sample(NAMES, rng.randint(0, len(NAMES)))}
        self.key, self.secret = text(rng, 16, 20, "ABCDEF0123456789"), text(rng, 1, 64, LETTERS[:37])
        self.token = rng.choice(["", "", text(rng, 10, 300, "abcXYZ019+/=")])
        self.region = rng.choice(["us-east-1", "eu-central-1", "garage", "x"])
        self.expires = 0

    def botocore(self):
        url = f"http://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")
        request = AWSRequest(method=self.method, url=url, headers={"Host": self.host, **self.fields}, data=b"")
        Fixed.moment = datetime.datetime.utcfromtimestamp(self.seconds)
        auth.datetime.datetime = Fixed
        credentials = Credentials(self.key, self.secret, self.token or None)
        if self.expires:
            auth.S3SigV4QueryAuth(credentials, "s3", self.region, self.expires).add_auth(request)
            return urllib.parse.urlsplit(request.url).query
        auth.S3SigV4Auth(credentials, "s3", self.region).add_auth(request)
        return request.headers["Authorization"]

    def ours(self, signer):
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        fields = [("Host", self.host), *self.fields.items()]
        return signer.ask(self.seconds, self.method, self.path, self.query, empty, self.key, self.secret, self.token,
                          self.region, self.expires, len(fields), *(x for field in fields for x in field))

    def __repr__(self):
        return repr(vars(self))


class Signatures(Case):
    def setUp(self):
        self.rng = random.Random(int(os.environ.get("SHEAF_SEED", "20130524")))
        self.rounds = 20000 if os.environ.get("SHEAF_LONG") == "1" else 2000
        self.signer = Signer()
        self.addCleanup(self.signer.close)
        real = auth.datetime.datetime
        self.addCleanup(setattr, auth.datetime, "datetime", real)

    def test_requests_signed_in_fields_have_botocores_signature_and_are_verified(self):
        for _ in range(self.rounds):
            made = Made(self.rng)
            lines = made.ours(self.signer)
            self.assertEqual(lines[-2], "Authorization: " + made.botocore(), made)
            self.assertEqual(lines[-1], "InvalidToken" if made.token else "ok", made)

    def test_presigned_requests_have_botocores_signature_and_are_verified(self):
        for _ in range(self.rounds):
            made = Made(self.rng)
            made.expires = self.rng.randint(1, 604800)
            lines = made.ours(self.signer)
            signature = re.compile(r"X-Amz-Signature=(\w{64})$")
            theirs = made.botocore()
            self.assertEqual(sorted(urllib.parse.parse_qsl(lines[0], True)),
                             sorted(urllib.parse.parse_qsl(theirs, True)), made)
            self.assertEqual(signature.search(lines[0])[1], signature.search(theirs)[1], made)
            self.assertEqual(lines[-1], "InvalidToken" if made.token else "ok", made)


if __name__ == "__main__":
    main()
