"""The story that every client library tells through Sheaf, each in its own language.

A program of tests/scenario/clients is called with PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP: a pool
without users; one whose user `app` (password `app-secret`) may use keys that begin with `app:`; the first
pool over TLS, with the file of the authority; what its own keys begin with; 2 or 3.  It makes its client
with the library's default settings and prints "ok CHECK" for each of CHECKS, or "failed CHECK: why".
"""
from lib.case import Case, REPOSITORY
from lib.certificates import Certificates
from lib.ports import free_port
from lib.process import run
from lib.redis_server import RedisServer
from lib.sheaf import Sheaf, pool

CLIENTS = REPOSITORY / "tests/scenario/clients"
CHECKS = (
    "connect",         # its own handshake, PING, and that RESP is what it should be
    "strings",         # SET GET MSET MGET DEL over several shards, nulls, bytes that are no text
    "large",           # a value of 1 MiB there and back
    "collections",     # hash, sorted set, stream: replies that RESP2 and RESP3 tell differently
    "pipeline",        # 300 pairs, each reply in its place
    "transaction",     # MULTI and EXEC
    "watch",           # one that was overtaken is not done; the second try is
    "scan",            # all keys of all shards, by the library's own iteration
    "script",          # the library's script object, twice
    "script_flushed",  # and again when the servers have forgotten it
    "publish",         # what is published to a channel and a pattern is heard
    "blocking",        # BLPOP: in vain, and with an element that comes while it waits
    "error",           # WRONGTYPE and CROSSSLOT are the library's errors; the connection goes on
    "auth",            # user and password; a foreign key and a wrong password are refused
    "database",        # what the library does for database 1
    "tls",             # verified by the authority
)


class Story(Case):
    """The base of test classes whose clients tell the story; all share one Sheaf over three servers."""

    @classmethod
    def setUpClass(cls):
        certificates = Certificates(cls.folder() / "tls")
        cls.authority = certificates.ca
        cls.tls_port = free_port()
        cls.servers = [RedisServer(cls) for _ in range(3)]
        listen = [f"redis://127.0.0.1:{free_port()}", f"rediss://127.0.0.1:{cls.tls_port}"]
        cls.sheaf = Sheaf(
            cls, pool(cls.servers, listen=listen, tls_cert=certificates.cert("server"),
                      tls_key=certificates.key("server")),
            pool(cls.servers, name="guarded", stamp="no", user="app app-secret prefix=app:"))

    def tells(self, *command, resp, without=(), env=None):
        """Runs a program; each check must be there, but those that its library cannot do."""
        prefix = self.id().rsplit(".", 1)[1]
        guarded = self.sheaf.target("guarded")[1]
        code, out, err = run([*command, self.sheaf.port, guarded, self.tls_port, self.authority, prefix, resp],
                             seconds=60, env=env)
        told = [line.removeprefix("ok ") for line in out.splitlines() if line.startswith("ok ")]
        self.assertEqual((told, code), ([check for check in CHECKS if check not in without], 0),
                         f"{command}\n{out[-4000:]}\n{err[-4000:]}")
