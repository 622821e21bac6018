"""S3's clients that people use, as they come from their packages, before whatever stores: mixed into a Case that has
called serve_clients().  Each finds its buckets empty, and leaves none."""
import hashlib
import os
import pathlib
import random
import subprocess
import unittest

from lib.blob import ID, SECRET, blob_pool, folder_url, s3_client
from lib.case import REPOSITORY
from lib.certificates import Certificates
from lib.ports import free_port
from lib.process import run
from lib.sheaf import Sheaf

CLIENTS = REPOSITORY / "tests/scenario/clients"
NODE_MODULES = REPOSITORY / "build/npm/node_modules"
LONG = os.environ.get("SHEAF_LONG") == "1"
SOME = () if LONG else ("one https", "three http")  # of the endpoints
PART = 5 << 20  # the smallest that clients will have


def files_below(folder):
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.rglob("*") if file.is_file()}


class BlobClients:
    """`lacks`: as of a BlobStory."""
    lacks = ()

    @classmethod
    def serve_clients(cls, one, three):
        """Two pools, of the shards given, each over HTTP and HTTPS."""
        cls.certificates = Certificates(cls.folder() / "tls")
        tls = {"tls_cert": cls.certificates.cert("server"), "tls_key": cls.certificates.key("server")}
        pools = [blob_pool(shards, name, listen=[f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("s3", "s3s")], **tls)
                 for name, shards in (("one", one), ("three", three))]
        cls.sheaf = Sheaf(cls, *pools)
        for name in ("big", "tree"):
            (cls.folder() / name).mkdir()
        (cls.folder() / "big/file").write_bytes(random.randbytes(2 * PART + 12345))
        (cls.folder() / "tree/sub folder").mkdir()
        for name in ("a", "empty", "ä ö", "sub folder/b+c", "sub folder/&<x>"):
            (cls.folder() / "tree" / name).write_bytes(b"" if name == "empty" else random.randbytes(random.randrange(50_000)))

    def setUp(self):
        self.work = self.folder() / self.id().rsplit(".", 1)[1]
        self.work.mkdir()
        self.big, self.tree = self.folder() / "big/file", self.folder() / "tree"

    def endpoints(self, *which):
        """Name, URL; all four if none is named."""
        for name in ("one", "three"):
            for index, scheme in enumerate(("http", "https")):
                if not which or f"{name} {scheme}" in which:
                    host, port = self.sheaf.target(name, index)
                    yield f"{name}-{scheme}", f"{scheme}://{host}:{port}"

    def run_client(self, *command, fails=False, stdin="", **env):
        # Whatever else this machine trusts, keeps at home, or goes through.
        nowhere = self.folder() / "nowhere"
        own = {name: str(self.certificates.ca) for name in (
            "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")}
        own.update(SSL_CERT_DIR=str(nowhere), HOME=str(self.folder()), NODE_PATH=str(NODE_MODULES), LC_ALL="C.UTF-8",
                   no_proxy="*", NO_PROXY="*", AWS_CA_BUNDLE="", AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=str(nowhere),
                   AWS_SHARED_CREDENTIALS_FILE=str(nowhere), AWS_DEFAULT_REGION="us-east-1")
        code, out, err = run(command, stdin, seconds=90, env={**own, "AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET, **env})
        self.assertEqual(code != 0, fails, f"{command}\n{out[-4000:]}\n{err[-4000:]}\n{self.sheaf.log[-3000:]}")
        return out + err if fails else out

    def same(self, one, other):
        self.assertTrue(pathlib.Path(one).read_bytes() == pathlib.Path(other).read_bytes(), f"{one} and {other}")

    # --- Node.js

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_aws_sdk_for_javascript(self):
        self.tell_all("aws_sdk.js")

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_minio_for_javascript(self):
        self.tell_all("minio.js")

    def tell_all(self, script):
        for name, url in self.endpoints(*SOME):
            with self.subTest(endpoint=name):
                self.run_client("node", CLIENTS / script, url, f"js-{script.split('_')[0].split('.')[0]}-{name}", ID, SECRET,
                                *self.lacks)

    # --- boto3, whose defaults over HTTPS are others

    def test_boto3(self):
        from boto3.s3.transfer import TransferConfig
        transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        for name, url in self.endpoints("one https", "three https"):
            with self.subTest(endpoint=name):
                s3 = s3_client(None, url=url, verify=str(self.certificates.ca))
                bucket = f"boto3-{name}"
                s3.create_bucket(Bucket=bucket)
                for size in (0, 1, 70_000, 2_000_000):
                    body = random.randbytes(size)
                    s3.put_object(Bucket=bucket, Key=f"o{size}", Body=body)
                    self.assertTrue(s3.get_object(Bucket=bucket, Key=f"o{size}")["Body"].read() == body)
                s3.upload_file(str(self.big), bucket, "big", Config=transfer)
                s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copied in parts", Config=transfer)
                for key in ("big", "copied in parts"):
                    s3.download_file(bucket, key, str(self.work / "back"), Config=transfer)
                    self.same(self.big, self.work / "back")
                keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
                self.assertEqual(keys, ["big", "copied in parts", "o0", "o1", "o2000000", "o70000"])
                s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
                s3.delete_bucket(Bucket=bucket)

    # --- awscli

    def test_awscli(self):
        config = self.work / "config"
        config.write_text(f"[default]\ns3 =\n  multipart_threshold = {PART}\n  multipart_chunksize = {PART}\n"
                          "  addressing_style = path\n")
        for name, url in self.endpoints("one https", "three http"):
            with self.subTest(endpoint=name):
                bucket = f"s3://cli-{name}"

                def aws(*words, **more):
                    return self.run_client("/usr/bin/aws", "--endpoint-url", url, *words, AWS_CONFIG_FILE=str(config),
                                           AWS_CA_BUNDLE=str(self.certificates.ca), **more)
                aws("s3", "mb", bucket)
                aws("s3", "cp", "--quiet", self.big, f"{bucket}/big")
                aws("s3", "cp", "--quiet", f"{bucket}/big", self.work / name)
                self.same(self.big, self.work / name)
                if name == "one-https" and not LONG:  # it signs bodies otherwise; each command takes a second to start
                    aws("s3", "rb", "--force", bucket)
                    continue
                aws("s3", "sync", "--quiet", self.tree, f"{bucket}/tree")
                aws("s3", "mv", "--quiet", f"{bucket}/big", f"{bucket}/moved & split")
                self.assertIn("moved & split", aws("s3", "ls", "--recursive", bucket))
                aws("s3", "sync", "--quiet", f"{bucket}/tree", self.work / f"{name}-tree")
                self.assertEqual(files_below(self.work / f"{name}-tree"), files_below(self.tree))
                self.assertIn("404", aws("s3", "cp", f"{bucket}/none", "-", fails=True))
                aws("s3", "rb", "--force", bucket)

    # --- s3cmd

    def test_s3cmd(self):
        for name, url in self.endpoints("one http", "three https"):
            with self.subTest(endpoint=name):
                scheme, host = url.split("://")
                config = self.work / f"{name}.cfg"
                config.write_text(f"[default]\naccess_key = {ID}\nsecret_key = {SECRET}\nhost_base = {host}\n"
                                  f"host_bucket = {host}\nuse_https = {scheme == 'https'}\n"
                                  f"ca_certs_file = {self.certificates.ca}\nmultipart_chunk_size_mb = 5\n")
                bucket = f"s3://s3cmd-{name}"

                def s3cmd(*words, **more):
                    return self.run_client("s3cmd", "--config", config, "--no-progress", *words, **more)
                s3cmd("mb", bucket)
                s3cmd("put", self.big, f"{bucket}/big")
                s3cmd("cp", f"{bucket}/big", f"{bucket}/copy")
                s3cmd("get", f"{bucket}/copy", self.work / name)
                self.same(self.big, self.work / name)
                s3cmd("sync", f"{self.tree}/", f"{bucket}/tree/")
                self.assertIn(f"{bucket}/tree/sub folder/&<x>", s3cmd("ls", "--recursive", bucket))
                (self.work / f"{name}-tree").mkdir()
                s3cmd("sync", f"{bucket}/tree/", f"{self.work / (name + '-tree')}/")
                self.assertEqual(files_below(self.work / f"{name}-tree"), files_below(self.tree))
                s3cmd("mv", f"{bucket}/copy", f"{bucket}/moved")
                self.assertIn("moved", s3cmd("info", f"{bucket}/moved"))
                self.assertIn("does not exist", s3cmd("get", f"{bucket}/none", self.work / "none", fails=True))
                s3cmd("rb", "--recursive", bucket)

    # --- rclone

    def test_rclone(self):
        for name, url in self.endpoints("one https", "three http"):
            with self.subTest(endpoint=name):
                config = self.work / f"{name}.conf"
                config.write_text(f"[s]\ntype = s3\nprovider = Other\naccess_key_id = {ID}\nsecret_access_key = {SECRET}\n"
                                  f"endpoint = {url}\nregion = us-east-1\nforce_path_style = true\n"
                                  "chunk_size = 5Mi\nupload_cutoff = 5Mi\n")
                bucket = f"s:rclone-{name}"

                def rclone(*words, **more):
                    return self.run_client("rclone", "--config", config, "--ca-cert", self.certificates.ca, "--retries", "1",
                                           *words, **more)
                rclone("mkdir", bucket)
                rclone("copy", self.folder() / "big", f"{bucket}/big")
                rclone("sync", self.tree, f"{bucket}/tree")
                rclone("check", self.tree, f"{bucket}/tree")
                rclone("check", "--download", self.folder() / "big", f"{bucket}/big")
                rclone("moveto", f"{bucket}/big/file", f"{bucket}/moved/file")
                rclone("copy", f"{bucket}/moved", self.work / name)
                self.same(self.big, self.work / name / "file")
                self.assertEqual(sorted(rclone("lsf", "-R", "--files-only", f"{bucket}/tree").splitlines()),
                                 sorted(files_below(self.tree)))
                rclone("purge", bucket)

    # --- curl

    def test_curl(self):
        for name, url in self.endpoints(*SOME):
            with self.subTest(endpoint=name):
                bucket = f"{url}/curl-{name}"

                def curl(*words, payload="UNSIGNED-PAYLOAD", **more):
                    return self.run_client("curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3",
                                           "-u", f"{ID}:{SECRET}", "-H", f"x-amz-content-sha256: {payload}", *words, **more)
                curl("-X", "PUT", bucket)
                curl("-T", self.big, f"{bucket}/big")  # it expects to be told to go on
                curl(f"{bucket}/big", "-o", self.work / name)
                self.same(self.big, self.work / name)
                digest = hashlib.sha256(self.big.read_bytes()).hexdigest()
                curl("-T", self.big, f"{bucket}/hashed", payload=digest)
                self.assertRegex(
                    curl("-T", self.tree / "a", f"{bucket}/wrong", payload=digest, fails=True),
                    "XAmzContentSHA256Mismatch" if "names of digests" not in self.lacks else "BadDigest|SHA256Mismatch")
                self.assertIn("NoSuchKey", curl(f"{bucket}/wrong", fails=True))
                self.assertIn("<Key>hashed</Key>", curl(f"{bucket}?list-type=2&prefix=h"))
                self.assertIn(f"ength: {self.big.stat().st_size}", curl("-I", f"{bucket}/big"))
                curl("-r", "5-14", f"{bucket}/big", "-o", self.work / "part")
                self.assertEqual((self.work / "part").read_bytes(), self.big.read_bytes()[5:15])
                self.assertIn("MissingContentLength", curl("-T", "-", f"{bucket}/piped", stdin="x", fails=True))
                self.assertIn("AccessDenied", self.run_client("curl", "-sS", "--fail-with-body", f"{bucket}/big", fails=True))
                for key in ("big", "hashed"):
                    curl("-X", "DELETE", f"{bucket}/{key}")
                curl("-X", "DELETE", bucket)
