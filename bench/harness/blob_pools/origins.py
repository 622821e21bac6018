"""The stores behind everything: nginx, which serves fixed objects, keeps what is put, and gives pages of
lists that were written beforehand.

    /bench/1k/ANY     an object of 1 KiB; 1m, 64m likewise
    /bench/put/ANY    is kept (in memory, where there is a folder for that)
    /bench?list-type  pages of LIST_KEYS keys, of this origin's own
"""
import os
import pathlib
import tempfile

from ..processes import Failed, Gone, free_ports
from ..setup import find
from .talk import placement, wait_until_it_answers

SERVING, SHARDS = 2, 8      # so many serve objects; and so many give lists
SIZES = {"1k": 1 << 10, "1m": 1 << 20, "64m": 64 << 20}
LIST_KEYS = 8000            # of all shards together
PAGE_SIZES = (1000, 156)    # what shards are asked for: all that a client wants, or a share of it

CONFIGURATION = """worker_processes 1;
daemon off;
pid {folder}/origin.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    client_body_temp_path {store}/body;
    types {{ }}
    default_type application/octet-stream;
    map $args $max_keys {{ "~(^|&)max-keys=(?<m>[0-9]+)" $m; default 1000; }}
    map $args $after {{ "~(^|&)start-after=(?<a>[^&]+)" $a; default first; }}
{servers}}}
"""
SERVER = """    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /bench {{ default_type application/xml; root {folder}/lists;
            try_files /{number}/$max_keys-$after.xml =404; }}
        location /bench/ {{ root {store}/{number}; dav_methods PUT DELETE; create_full_put_path on; }}
{objects}    }}
"""


def list_keys():
    return [f"mail/2026/11/{n * 2654435761 % 2**32:08x}/{n:06d}.eml" for n in range(LIST_KEYS)]


def page(keys, truncated, most):
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-28T15:04:05.000Z</LastModified>"
        f'<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>{1000 + len(key)}</Size>'
        "<StorageClass>STANDARD</StorageClass></Contents>" for key in keys)
    next_token = f"<NextContinuationToken>{keys[-1]}</NextContinuationToken>" if truncated else ""
    return ('<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name>'
            f"<Prefix></Prefix><MaxKeys>{most}</MaxKeys><EncodingType>url</EncodingType>"
            f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>{str(truncated).lower()}</IsTruncated>"
            f"{next_token}{entries}</ListBucketResult>")


class Origins:
    def __init__(self, processes, cpus, program, say):
        say("making the objects")
        self.folder = processes.folder
        memory = pathlib.Path("/dev/shm")
        self.kept = tempfile.TemporaryDirectory(prefix="sheaf-bench-", dir=memory
                                                if os.access(memory, os.W_OK) else None)
        self.store = pathlib.Path(self.kept.name)
        os.chmod(self.store, 0o777)
        os.chmod(self.folder, 0o755)
        ports = free_ports(SERVING + SHARDS)
        self.ports, self.list_ports = ports[:SERVING], ports[SERVING:]
        self.write_objects()
        self.write_lists(program)
        nginx = find("nginx")
        if nginx is None:
            raise Failed("nginx is not there (package nginx-light)")
        path = self.folder / "origin.conf"
        path.write_text(self.configuration())
        self.process = processes.start("origin", [nginx, "-p", str(self.folder), "-c", str(path)],
                                       cpus.servers)
        for port in ports:
            wait_until_it_answers(self.process, port, "/bench/1k/any")

    def configuration(self):
        objects = "".join(f"        location ~ ^/bench/{name}/ {{ alias {self.store}/{name}.bin; }}\n"
                          for name in SIZES)
        servers = "".join(SERVER.format(port=port, folder=self.folder, store=self.store,
                                        number=number, objects=objects)
                          for number, port in enumerate(self.list_ports + self.ports))
        user = "user root;\n" if os.geteuid() == 0 else ""
        return user + CONFIGURATION.format(folder=self.folder, store=self.store, servers=servers)

    def write_objects(self):
        for name, size in SIZES.items():
            (self.store / f"{name}.bin").write_bytes(os.urandom(size))
        for number in range(SHARDS + SERVING):
            (self.store / str(number)).mkdir()
            os.chmod(self.store / str(number), 0o777)

    def write_lists(self, program):
        """Each shard's own keys, in pages as they follow one another."""
        found = placement(program, self.folder, SHARDS, list_keys())
        for number in range(SHARDS):
            keys = sorted(found[number])
            folder = self.folder / "lists" / str(number)
            folder.mkdir(parents=True)
            for most in PAGE_SIZES:
                for at in range(0, len(keys), most):
                    after = keys[at - 1].replace("/", "%2F") if at > 0 else "first"
                    text = page(keys[at:at + most], at + most < len(keys), most)
                    (folder / f"{most}-{after}.xml").write_text(text)

    def check(self):
        if self.process.poll() is not None:
            raise Gone(f"the origin ended with code {self.process.returncode}")

    def stop(self):
        self.kept.cleanup()
