"""A key server of Kerberos of its own, on a free loopback port."""
import os
import pathlib
import shutil
import socket
import tempfile

from lib.case import ends_with, wait_until
from lib.ports import free_port
from lib.process import Process, run

PROGRAMS = [shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("krb5kdc", "kdb5_util", "kadmin.local")]


class Kerberos:
    """Knows the principals; keytab(name) holds the key of one of them."""

    def __init__(self, owner, *principals):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-kerberos-"))
        self.folder.chmod(0o755)
        ends_with(owner, self._end)
        self.port = free_port()
        self.config = self.folder / "krb5.conf"
        self.config.write_text(f"""[libdefaults]
default_realm = TEST
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
TEST = {{
    kdc = 127.0.0.1:{self.port}
}}
""")
        (self.folder / "kdc.conf").write_text(f"""[kdcdefaults]
kdc_listen = ""
kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
TEST = {{
    database_name = {self.folder}/principal
    key_stash_file = {self.folder}/stash
    acl_file = {self.folder}/acl
    supported_enctypes = aes256-cts:normal
}}
""")
        self.env = {"KRB5_CONFIG": str(self.config), "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}
        kdc, make, admin = PROGRAMS
        self._must(make, "create", "-s", "-P", "secret")
        self._must(admin, stdin="".join(f"addprinc -randkey {one}\nktadd -k {self.keytab(one)} {one}\n" for one in principals))
        for one in principals:
            self.keytab(one).chmod(0o644)
        self.process = Process([kdc, "-n"], env=self.env)
        wait_until(self._answers, what="the key server")

    def keytab(self, principal):
        return self.folder / f"{principal.replace('/', '.')}.keytab"

    def client_env(self, principal):
        """Of a process that is to be this one."""
        return {"KRB5_CONFIG": str(self.config), "KRB5_CLIENT_KTNAME": str(self.keytab(principal)),
                "KRB5CCNAME": f"FILE:{self.folder}/{principal}.tickets"}

    def _must(self, *arguments, stdin=""):
        code, out, err = run(arguments, stdin, env=self.env)
        if code != 0:
            raise AssertionError(f"{arguments}: {code}\n{out}\n{err}")

    def _answers(self):
        socket.create_connection(("127.0.0.1", self.port)).close()
        return True

    def _end(self):
        if hasattr(self, "process"):
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
