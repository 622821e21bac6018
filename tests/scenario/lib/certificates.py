"""Certificates for tests, made by the openssl command."""
import pathlib
import ssl
import subprocess


class Certificates:
    """An authority in a folder; `issue` adds a certificate by it.  "server" is there at once.

        certificates = Certificates(folder)
        certificates.issue("app")
        certificates.cert("app"), certificates.key("app"), certificates.ca
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.crt"
        self._openssl("req", "-x509", *self._new_key("ca"), "-out", self.ca, "-days", "2",
                      "-subj", "/CN=test authority")
        self.issue("server", names=("DNS:localhost", "IP:127.0.0.1"))

    def cert(self, name):
        return self.folder / f"{name}.crt"

    def key(self, name):
        return self.folder / f"{name}.key"

    def issue(self, name, names=("DNS:localhost",), days=1):
        """Makes or renews a certificate for the names given."""
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        self._openssl("req", *self._new_key(name), "-out", request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key("ca"),
                      "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                      "-out", self.cert(name))

    def client_context(self, name=None, verify=True):
        """What RespSession(tls=...) takes, with a client certificate if named."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if name:
            context.load_cert_chain(self.cert(name), self.key(name))
        return context

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", self.key(name))

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
