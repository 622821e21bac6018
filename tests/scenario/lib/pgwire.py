"""PostgreSQL's protocol 3.0 as a client speaks it, byte for byte: what goes over the wire is what the test says.

    from lib import pgwire as pg

    with pg.PgSession(("127.0.0.1", port)) as session:
        session.run(pg.parse("s", "SELECT $1::int") + pg.bind("", "s", ["1"]) + pg.execute() + pg.sync())
"""
import base64
import collections
import hashlib
import hmac
import os
import random
import select
import socket
import struct
import threading
import time

from lib.case import SLOW

CUTS = os.environ.get("SHEAF_CUTS")  # a seed: all sessions send in pieces, whatever is tested
PROTOCOL_3_0 = 3 << 16
CANCEL, SSL, GSSENC = (1234 << 16 | n for n in (5678, 5679, 5680))


# --- what a client says


def frame(tag, body=b""):
    return tag.encode() + struct.pack("!i", len(body) + 4) + body


def text(value):
    return (value if isinstance(value, bytes) else str(value).encode()) + b"\0"


def _counted(values, pack):
    return struct.pack("!H", len(values)) + b"".join(pack(value) for value in values)


def _value(value):
    """A parameter: None, bytes, or what is written as text."""
    if value is None:
        return struct.pack("!i", -1)
    data = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("!i", len(data)) + data


def _number16(value):
    return struct.pack("!h", value)


def query(sql):
    return frame("Q", text(sql))


def parse(name, sql, types=()):
    return frame("P", text(name) + text(sql) + _counted(types, lambda oid: struct.pack("!I", oid)))


def bind(portal="", name="", values=(), formats=(), results=()):
    return frame("B", text(portal) + text(name) + _counted(formats, _number16) + _counted(values, _value)
                 + _counted(results, _number16))


def describe(kind="P", name=""):
    """kind: S, a statement, or P, a portal."""
    return frame("D", kind.encode() + text(name))


def execute(portal="", limit=0):
    return frame("E", text(portal) + struct.pack("!i", limit))


def close(kind, name):
    return frame("C", kind.encode() + text(name))


def sync():
    return frame("S")


def flush():
    return frame("H")


def copy_data(data):
    return frame("d", data)


def copy_done():
    return frame("c")


def copy_fail(reason):
    return frame("f", text(reason))


def function_call(oid, values=(), formats=(1,), result=1):
    return frame("F", struct.pack("!I", oid) + _counted(formats, _number16) + _counted(values, _value)
                 + _number16(result))


def terminate():
    return frame("X")


def startup(parameters, version=PROTOCOL_3_0):
    body = struct.pack("!i", version) + b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def request(code, body=b""):
    """SSL, GSSENC, or CANCEL with its key."""
    return struct.pack("!ii", 8 + len(body), code) + body


def one(sql, *values, name="", **options):
    """A statement by the extended protocol, without Sync."""
    return (parse(name, sql) + bind("", name, values, **options) + describe() + execute())


# --- what a server says


class Message(collections.namedtuple("Message", "tag body")):
    def __repr__(self):
        if self.tag in "EN":
            return f"{self.tag}{self.fields}"
        body = repr(self.body) if len(self.body) < 200 else f"{self.body[:100]!r}... {len(self.body)} bytes"
        return f"{self.tag}{body[1:]}"

    @property
    def fields(self):
        """Of an ErrorResponse or a NoticeResponse, by the letter: C the SQLSTATE, M the text."""
        return {part[:1].decode(): part[1:].decode() for part in self.body.split(b"\0") if part}

    @property
    def code(self):
        return self.fields["C"]

    @property
    def row(self):
        """The values of a DataRow."""
        at, values = 2, []
        for _ in range(struct.unpack_from("!H", self.body)[0]):
            length = struct.unpack_from("!i", self.body, at)[0]
            at += 4
            values.append(None if length < 0 else self.body[at:at + length])
            at += max(0, length)
        return values

    @property
    def words(self):
        """The strings of a ParameterStatus, a CommandComplete, a NotificationResponse."""
        return [part.decode() for part in self.body[4 if self.tag == "A" else 0:].split(b"\0")[:-1]]


class Answer(list):
    """The messages of an answer, and what a test asks of them."""

    @property
    def tags(self):
        return "".join(message.tag for message in self)

    @property
    def rows(self):
        """The values of all rows, as text."""
        return [[None if v is None else v.decode() for v in m.row] for m in self if m.tag == "D"]

    @property
    def value(self):
        """The only value of the only row."""
        errors = self.errors
        if errors:
            raise AssertionError(f"it failed: {errors}")
        [[value]] = self.rows
        return value

    @property
    def errors(self):
        """The SQLSTATEs of its ErrorResponses."""
        return [m.code for m in self if m.tag == "E"]

    @property
    def done(self):
        """What its CommandCompletes say."""
        return [m.words[0] for m in self if m.tag == "C"]

    @property
    def state(self):
        """I, T or E, as its last ReadyForQuery has it."""
        return [m.body.decode() for m in self if m.tag == "Z"][-1]


# --- a session


class PgSession:
    """Logged in when the constructor returns, unless `login` is False.

    `seen` holds all that came after the login, `parameters` what the server told of itself, and `key`
    what its CancelRequest says (BackendKeyData)."""

    def __init__(self, target, user="app", database="app", password="secret", options=None, timeout=20,
                 tls=None, direct_tls=False, login=True, version=PROTOCOL_3_0):
        self.target, self.password = target, password
        if isinstance(target, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout * SLOW)
            self.socket.connect(target)
        else:
            self.socket = socket.create_connection(target, timeout * SLOW)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.seen, self.parameters, self.key = Answer(), {}, None
        self.one_byte = False  # each byte is sent alone
        self.cuts = random.Random(CUTS) if CUTS else None  # what is sent is cut at a few places of its choice
        self.idle = True  # as the last ReadyForQuery had it
        self._beside = []
        self._plus = None
        try:
            if tls:
                self.start_tls(tls, direct_tls)
            if login:
                self.login({"user": user, "database": database, **(options or {})}, version)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Without a word; see terminate()."""
        self.socket.close()
        for thread in self._beside:
            thread.join()

    # --- bytes

    def send(self, data):
        if self.one_byte:
            for at in range(len(data)):
                self.socket.sendall(data[at:at + 1])
        elif self.cuts:
            at = 0
            for cut in sorted(self.cuts.randrange(len(data) + 1) for _ in range(self.cuts.randint(1, 4))):
                self.socket.sendall(data[at:cut])
                time.sleep(self.cuts.choice((0, 0.0002, 0.001, 0.003)))
                at = cut
            self.socket.sendall(data[at:])
        else:
            self.socket.sendall(data)

    def send_beside(self, data):
        """By a thread of its own, for more than sockets hold: what the server says may be read meanwhile."""
        def send():
            try:
                self.socket.sendall(data)
            except OSError:
                pass  # whoever reads finds out why
        self._beside.append(threading.Thread(target=send, daemon=True))
        self._beside[-1].start()

    def bytes(self, count):
        while len(self._buffer) < count:
            data = self.socket.recv(max(65536, min(count - len(self._buffer), 1 << 22)))
            if not data:
                raise EOFError(f"closed after {bytes(self._buffer[:100])!r}; seen: {self.seen[-3:]}")
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def message(self):
        """The next message, whatever it is."""
        head = self.bytes(5)
        return Message(head[:1].decode("latin-1"), self.bytes(struct.unpack("!i", head[1:])[0] - 4))

    def read(self):
        """The next message; it is among the `seen`."""
        self.seen.append(self.message())
        if self.seen[-1].tag == "Z":
            self.idle = self.seen[-1].body == b"I"
        return self.seen[-1]

    def until(self, tags, count=1):
        """All messages up to the count-th whose tag is among `tags`."""
        answer = Answer()
        while count > 0:
            answer.append(self.read())
            count -= answer[-1].tag in tags
        return answer

    def rest(self):
        """All messages until the other side closes."""
        answer = Answer()
        try:
            while True:
                answer.append(self.read())
        except (EOFError, ConnectionResetError):
            return answer

    def ask_until(self, data, tags):
        self.send(data)
        return self.until(tags)

    def run(self, data, readies=1):
        """Sends, and reads up to so many ReadyForQuery."""
        self.send(data)
        return self.until("Z", readies)

    def ask(self, sql):
        """A simple query's answer."""
        return self.run(query(sql))

    def ask_extended(self, sql, *values):
        return self.run(one(sql, *values) + sync())

    def value(self, sql, *values):
        """The only value of an answer, as text; an error is raised."""
        return (self.ask_extended(sql, *values) if values else self.ask(sql)).value

    def has_more(self):
        """Whether something is there to be read."""
        return bool(self._buffer or select.select([self.socket], [], [], 0)[0])

    def is_silent(self, seconds=0.05):
        """Whether nothing comes for a while."""
        return not self._buffer and not select.select([self.socket], [], [], seconds * SLOW)[0]

    def terminate(self):
        self.send(terminate())
        self.close()

    # --- the beginning

    def start_tls(self, context, direct=False):
        """SSLRequest, unless it is direct, and TLS; an AssertionError if the server has none."""
        if not direct:
            self.send(request(SSL))
            answer = self.bytes(1)
            if answer != b"S":
                raise AssertionError(f"no TLS: {answer!r}")
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        certificate = self.socket.getpeercert(binary_form=True)
        self._plus = hashlib.sha256(certificate).digest() if certificate else None

    def login(self, parameters, version=PROTOCOL_3_0):
        """Up to the first ReadyForQuery: the messages; PgError if it is refused."""
        self.user = parameters.get("user", "")
        self.send(startup(parameters, version))
        answer = Answer()
        while True:
            message = self.message()
            answer.append(message)
            if message.tag == "R":
                self._authenticate(message.body)
            elif message.tag == "S":
                name, value = message.words
                self.parameters[name] = value
            elif message.tag == "K":
                self.key = message.body
            elif message.tag == "E":
                raise PgError(message)
            elif message.tag == "Z":
                return answer

    def _authenticate(self, body):
        code = struct.unpack_from("!i", body)[0]
        if code == 3:
            self.send(frame("p", text(self.password)))
        elif code == 5:
            inner = hashlib.md5((self.password + self.user).encode()).hexdigest()
            outer = hashlib.md5(inner.encode() + body[4:8]).hexdigest()
            self.send(frame("p", text("md5" + outer)))
        elif code == 10:
            self._scram_first(body[4:].split(b"\0")[:-2])
        elif code == 11:
            self._scram_final(body[4:].decode())
        elif code == 12:
            if body[4:].decode() != "v=" + base64.b64encode(self._server_signature).decode():
                raise AssertionError("the server's signature is wrong")
        elif code != 0:
            raise AssertionError(f"authentication {code}")

    def _scram_first(self, mechanisms):
        plus = self._plus is not None and b"SCRAM-SHA-256-PLUS" in mechanisms
        self.mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
        self._gs2 = "p=tls-server-end-point,," if plus else "y,," if self._plus else "n,,"
        self._bound = self._gs2.encode() + (self._plus if plus else b"")
        self._first = "n=,r=" + base64.b64encode(os.urandom(18)).decode()
        first = (self._gs2 + self._first).encode()
        self.send(frame("p", text(self.mechanism) + struct.pack("!i", len(first)) + first))

    def _scram_final(self, server_first):
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        final = f"c={base64.b64encode(self._bound).decode()},r={fields['r']}"
        signed = f"{self._first},{server_first},{final}".encode()

        def mac(key, data):
            return hmac.digest(key, data, "sha256")
        client_key = mac(salted, b"Client Key")
        signature = mac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self._server_signature = mac(mac(salted, b"Server Key"), signed)
        self.send(frame("p", f"{final},p={base64.b64encode(proof).decode()}".encode()))

    # --- cancelling

    def cancel(self, key=None):
        """A CancelRequest with its key, or another; returns when the other side has closed."""
        cancel(self.target, self.key if key is None else key)


def cancel(target, key):
    with PgSession(target, login=False) as session:
        session.send(request(CANCEL, key))
        leftover = session.socket.recv(100)
        if leftover:
            raise AssertionError(f"a CancelRequest was answered: {leftover!r}")


class PgError(Exception):
    """An ErrorResponse at login."""

    def __init__(self, message):
        super().__init__(str(message))
        self.fields, self.code = message.fields, message.code
