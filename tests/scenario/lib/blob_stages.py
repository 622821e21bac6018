"""Stages for tests of blob pools: a server and a folder side by side, and servers that are as odd as a test has them."""
import http.server
import socket
import threading

from lib.blob import ID, SECRET, answer, blob_pool, folder_url, s3_client
from lib.case import SLOW, Case, ends_with
from lib.sheaf import Sheaf
from lib.sigv4 import Signed

XML = {"content-type": "application/xml"}


class Mixed(Case):
    """`keys`: one on each of two shards, a server that speaks S3 and a folder."""

    @classmethod
    def setUpClass(cls):
        cls.store = Sheaf(cls, blob_pool([folder_url(cls, sync="never")]), proxy={"workers": 1})
        cls.sheaf = Sheaf(cls, blob_pool(["s3://%s:%s@%s:%d" % (ID, SECRET, *cls.store.target("mail")), folder_url(cls, sync="never")],
                                         stamp="no", region=["us-east-1", "eu-1"]))
        cls.s3 = s3_client(cls.sheaf.target("mail"))
        cls.s3.create_bucket(Bucket="traps")
        cls.s3.put_object(Bucket="traps", Key="o", Body=b"0123456789")
        shards = {}
        for n in range(20):
            shards.setdefault(cls.sheaf.route(f"k{n}", name="mail")[0][3], f"k{n}")
        cls.keys = [shards["0"], shards["1"]]

    def signed(self, *what, **how):
        return Signed(*what, host="%s:%d" % self.sheaf.target("mail"), **{"key": ID, "secret": SECRET, **how})

    def ask(self, request, body=b"", framing=None, method=None):
        framing = framing if framing is not None else b"content-length: %d\r\n" % len(body)
        with socket.create_connection(self.sheaf.target("mail"), timeout=20 * SLOW) as session:
            session.sendall(request.head + framing + b"\r\n" + body)
            return answer(session, method or request.head.split(b" ")[0].decode())

    def told(self, reply, status, code=None):
        """The answer's body."""
        self.assertEqual(reply[0], status, reply)
        if code:
            self.assertIn(f"<Code>{code}</Code>".encode(), reply[2])
        return reply[2].decode()

    def missing(self, key):
        self.told(self.ask(self.signed("GET", f"/traps/{key}")), 404, "NoSuchKey")

    def holds(self, key, body):
        self.assertTrue(self.s3.get_object(Bucket="traps", Key=key)["Body"].read() == body)


class Store:
    """A store of S3 that is as odd as a test has it: `serve` (method, path, fields, body) says status, fields, body, or
    raw bytes; it is kept what was asked."""

    def __init__(self, owner, serve):
        self.asked = asked = []
        self._lock = threading.Lock()

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # an answer in one piece

            def said(self):
                fields = dict((name.lower(), value) for name, value in self.headers.items())
                if fields.get("expect"):
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    self.wfile.flush()
                body = self.rfile.read(int(fields.get("content-length", 0)))
                asked.append((self.command, self.path, fields, body))
                reply = serve(self.command, self.path, fields, body)
                if isinstance(reply, bytes):
                    self.wfile.write(reply)
                    self.close_connection = True
                    return
                status, more, text = reply
                self.send_response(status)
                for name, value in {"content-length": str(len(text)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)
            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = said

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = "s3://STORE:secret@127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        ends_with(owner, self._server.server_close)
        ends_with(owner, self._server.shutdown)
