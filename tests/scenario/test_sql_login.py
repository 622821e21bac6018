#!/usr/bin/python3
"""Logins of clients at the daemon: by rules, maps, certificates and secrets in files, and from there at a real
PostgreSQL with what they proved."""
import re

import psycopg2

from lib import *
from lib import sql_login


class Daemon(sql_login.SqlLogin):
    @classmethod
    def open_front(cls):
        number = free_port()
        cls.local = {"host": str(cls.folder()), "port": number}
        cls.sheaf = Sheaf(cls, cls.pool(number=number))
        cls.port = cls.sheaf.port

    @classmethod
    def pool(cls, number=None, **options):
        kind, words = sql_pool(cls.server)
        listen = [words["listen"]]
        if number is not None:
            listen.append(f"postgresql+unix://{cls.folder()}?port={number}")
        for name in ("auth", "user"):
            del words[name]
        return kind, {**words, "listen": listen, "tls_cert": cls.certificates.cert("server"),
                      "tls_key": cls.certificates.key("server"), "tls_client": "optional",
                      "tls_client_ca": cls.certificates.ca, **cls.files, **options}


class Methods(sql_login.Methods, Daemon):
    pass


class Refusals(sql_login.Refusals, Daemon):
    pass


if __name__ == "__main__":
    main()
