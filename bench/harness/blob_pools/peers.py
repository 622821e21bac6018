"""What is measured: Sheaf before the origins and before folders, nginx, HAProxy and whatever else is
named.

nginx and HAProxy are plain reverse proxies: they look at no signature and make none.  All keep their
connections to the origins.
"""
import os

from .. import peer
from ..gauges import count_instructions, count_system_calls, tree, tree_cpu_ns, tree_pss_kib
from ..processes import Failed
from ..setup import find
from .origins import SERVING
from .talk import BUCKET, ID, SECRET, ask, wait_until_it_answers


class Peer(peer.Peer):
    """What it costs is told of its processes together."""

    verifies = False            # does it look at signatures and hashes?
    most_sessions = 1 << 30

    def wait(self):
        wait_until_it_answers(self.process, self.port, f"/{BUCKET}/1k/any")

    def cpu_ns(self):
        return tree_cpu_ns(self.pid)

    def pss_kib(self):
        return tree_pss_kib(self.pid)

    def system_calls(self, run):
        return count_system_calls(tree(self.pid), run)

    def instructions(self, run):
        return count_instructions(tree(self.pid), run)


class Sheaf(Peer):
    name, title, verifies = "sheaf", "Sheaf", True

    def __init__(self, processes, cpus, servers, program):
        super().__init__(processes, cpus, servers)
        self.program = program

    def ports(self):
        return self.servers.ports

    def shards(self):
        return [f"s3://store:store-secret@127.0.0.1:{port}" for port in self.ports()]

    def command(self):
        if not os.access(self.program, os.X_OK):
            raise Failed(f"{self.program} is not there")
        shards = "".join(f"shard = {shard}\n" for shard in self.shards())
        path = self.write("[proxy]\nworkers = 1\nadmin = off\nmax_sessions = 100000\n\n[blob bench]\n"
                          f"listen = s3://127.0.0.1:{self.port}\naccess_key = {ID} {SECRET}\n{shards}")
        return [self.program, "serve", path]


class SheafLists(Sheaf):
    """For lists alone, over all origins."""

    name, title = "sheaf-lists", "Sheaf, 8 shards"

    def ports(self):
        return self.servers.list_ports


class SheafFolders(Sheaf):
    """Is the store itself: files on the disk that the temporary folder is on, each synced."""

    name, title = "folders", "Sheaf, folders"

    def shards(self):
        folders = [self.processes.folder / f"folder{n}" for n in range(SERVING)]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        return [f"file://{folder}" for folder in folders]

    def wait(self):
        wait_until_it_answers(self.process, self.port, "/")
        if ask(self.port, f"/{BUCKET}", "PUT")[0] not in (200, 409):
            raise Failed("the bucket could not be made")


class Nginx(Peer):
    name, title = "nginx", "nginx"

    def command(self):
        servers = "".join(f"        server 127.0.0.1:{port};\n"
                          for port in self.servers.ports)
        user = "user root;\n" if os.geteuid() == 0 else ""
        folder = self.processes.folder
        path = self.write(
            f"{user}worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\n"
            "error_log stderr error;\n"
            "events { worker_connections 19000; }\nhttp {\n    access_log off;\n"
            f"    client_body_temp_path {folder}/nginx-body;\n    proxy_temp_path {folder}/nginx-proxy;\n"
            "    client_max_body_size 0;\n    keepalive_requests 100000000;\n    keepalive_timeout 1h;\n"
            f"    upstream origins {{\n{servers}        keepalive 256;\n"
            "        keepalive_requests 100000000;\n    }\n"
            f"    server {{\n        listen 127.0.0.1:{self.port} backlog=1024;\n        location / {{\n"
            "            proxy_pass http://origins;\n            proxy_http_version 1.1;\n"
            '            proxy_set_header Connection "";\n            proxy_set_header Host $http_host;\n'
            "            proxy_request_buffering off;\n            proxy_max_temp_file_size 0;\n"
            "        }\n    }\n}\n")
        return [find("nginx") or "nginx", "-p", str(folder), "-c", path]


class Haproxy(Peer):
    name, title = "haproxy", "HAProxy"
    most_sessions = 6900        # by a usual limit of descriptors: it counts several for each

    def command(self):
        servers = "".join(f"    server s{n} 127.0.0.1:{port}\n"
                          for n, port in enumerate(self.servers.ports))
        path = self.write(
            "global\n    nbthread 1\n    maxconn 7000\ndefaults\n    mode http\n"
            "    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n"
            "    option splice-auto\n    http-reuse always\nlisten bench\n"
            f"    bind 127.0.0.1:{self.port} backlog 1024\n    balance roundrobin\n{servers}")
        return [find("haproxy") or "haproxy", "-db", "-f", path]


class Also(peer.Also, Peer):
    pass
