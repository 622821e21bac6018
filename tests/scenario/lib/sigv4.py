"""Signatures of Amazon's version 4 by hand, so that each part of a request may be signed, or not, as no library would."""
import hashlib
import hmac
import time
import urllib.parse

EMPTY = hashlib.sha256(b"").hexdigest()


def _sha256(text):
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(raw, keep=""):
    """Decoded once, and encoded as it is signed."""
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(raw), safe=keep + "-_.~")


class Signed:
    """A request: `target` is sent as it is, bytes and all; `fields` are pairs, of which `unsigned` (names) are not
    signed.  `when`: the time, instead of now; `shift`: seconds by which the clock is wrong."""

    def __init__(self, method, target, fields=(), payload="UNSIGNED-PAYLOAD", *, host, key, secret, region="us-east-1",
                 when=None, shift=0, unsigned=(), date="x-amz-date", glue=",", presigned=None):
        self._secret, self._region = secret, region
        self.date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime((when or time.time()) + shift))
        self.scope = f"{self.date[:8]}/{region}/s3/aws4_request"
        self.fields = [("host", host), *fields]
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        if presigned is None:
            if date:
                self.fields.append((date, self.date))
            if payload:
                self.fields.append(("x-amz-content-sha256", payload))
        names = sorted({name.lower() for name, _ in self.fields} - {name.lower() for name in unsigned})
        if presigned is not None:
            query += (b"&" if query else b"") + "&".join(
                f"{name}={urllib.parse.quote(str(value), safe='-_.~')}" for name, value in {
                    "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key}/{self.scope}", "X-Amz-Date": self.date,
                    "X-Amz-Expires": 60, "X-Amz-SignedHeaders": ";".join(names), **presigned}.items()).encode()
        pairs = sorted((_encoded(name), _encoded(value)) for name, _, value in (
            each.partition(b"=") for each in query.split(b"&") if each))
        canonical = "\n".join([
            method, _encoded(path, "/"), "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:" + ",".join(" ".join(value.split()) for each, value in self.fields if each.lower() == name)
              for name in names), "", ";".join(names), payload or "UNSIGNED-PAYLOAD"])
        self.signature = self._sign("\n".join(["AWS4-HMAC-SHA256", self.date, self.scope, _sha256(canonical)]))
        if presigned is not None:
            query += b"&X-Amz-Signature=" + self.signature.encode()
        else:
            self.fields.append(("authorization", f"AWS4-HMAC-SHA256 Credential={key}/{self.scope}{glue}"
                                f"SignedHeaders={';'.join(names)}{glue}Signature={self.signature}"))
        self.target = path + (b"?" + query if query else b"")
        self._method = method

    @property
    def head(self):
        """Without the empty line that ends it."""
        return b"\r\n".join([self._method.encode() + b" " + self.target + b" HTTP/1.1",
                             *(f"{name}: {value}".encode() for name, value in self.fields), b""])

    def _sign(self, text):
        key = _hmac(b"AWS4" + self._secret.encode(), self.date[:8])
        for word in (self._region, "s3", "aws4_request"):
            key = _hmac(key, word)
        return _hmac(key, text).hex()

    def chunks(self, body, piece=65536, trailer=None, spoil=None):
        """The body in signed chunks; `trailer` is a line "name:value"; the signature of chunk `spoil` is wrong, or of
        the trailer if it is "trailer"."""
        out, last = b"", self.signature
        parts = [body[at:at + piece] for at in range(0, len(body), piece)] + [b""]
        for n, part in enumerate(parts):
            last = self._sign("\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.date, self.scope, last, EMPTY, _sha256(part)]))
            said = "0" * 64 if spoil == n else last
            out += f"{len(part):x};chunk-signature={said}\r\n".encode() + part + (b"\r\n" if part else b"")
        if trailer:
            said = self._sign("\n".join(["AWS4-HMAC-SHA256-TRAILER", self.date, self.scope, last, _sha256(trailer + "\n")]))
            said = "0" * 64 if spoil == "trailer" else said
            out += f"{trailer}\r\nx-amz-trailer-signature:{said}\r\n".encode()
        return out + b"\r\n"
