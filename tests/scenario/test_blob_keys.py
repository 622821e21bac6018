#!/usr/bin/python3
"""Keys of stores from the services that hand out temporary ones: an instance's metadata, a container's agent, STS."""
import datetime
import http.server
import json
import threading
import urllib.parse

from lib import *
from lib.blob import *
from lib.blob_stages import XML, Store

ROLES = "/latest/meta-data/iam/security-credentials/"


class Service:
    """All those services, and a store that takes whatever it is asked; both note what they are told."""

    def __init__(self, owner):
        self.asked, self.store_heads = [], []
        self.serial, self.lasts, self.trouble, self.knows_v2 = 0, 3600, None, True
        self.swallows = ()  # paths to which no answer comes
        self.closing = threading.Event()
        service = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                head = dict((name.lower(), value) for name, value in self.headers.items())
                if self.path.startswith("/bucket"):
                    service.store_heads.append(head)
                    status, text = 200, "x"
                else:
                    service.asked.append((self.command, self.path, head, body))
                    if self.path in service.swallows:
                        service.closing.wait()
                        self.close_connection = True
                        return
                    status, text = service.trouble or service.keys(self.command, self.path, head, body)
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = answer

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        ends_with(owner, self._server.shutdown)
        ends_with(owner, self.closing.set)

    def keys(self, method, path, head, body):
        if path == "/latest/api/token":
            return (200, "session-token") if self.knows_v2 and method == "PUT" else (404, "")
        if path.startswith("/latest") and self.knows_v2 and head.get("x-aws-ec2-metadata-token") != "session-token":
            return 401, ""
        if path == ROLES:
            return 200, "the-role"
        self.serial += 1
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lasts)
        ends = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        id, secret, token = f"ASIA{self.serial}", f"secret-{self.serial}", f"token-{self.serial}"
        if method == "POST":
            return 200, ('<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                         f"<AssumeRoleWithWebIdentityResult><Credentials><SessionToken>{token}</SessionToken><SecretAccessKey>"
                         f"{secret}</SecretAccessKey><Expiration>{ends}</Expiration><AccessKeyId>{id}</AccessKeyId></Credentials>"
                         "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")
        return 200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": secret,
                                "Token": token, "Expiration": ends})


class MetadataKeys(Case):
    def setUp(self):
        self.service = Service(self)

    def serve(self, **environment):
        pool = blob_pool([f"s3://127.0.0.1:{self.service.port}?credentials=metadata"], stamp="no", probe="no")
        self.sheaf = Sheaf(self, pool, env=environment)
        self.s3 = s3_client(self.sheaf.target("mail"))

    def status(self):
        try:
            return self.s3.get_object(Bucket="bucket", Key="k")["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            self.said = str(error)
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def is_signed_with(self, number):
        """By the store's word: keys that came as the number-th, or later ones."""
        if self.status() != 200:
            return False
        head = self.service.store_heads[-1]
        id = head["authorization"].split("Credential=")[1].split("/")[0]
        self.assertEqual(head["x-amz-security-token"], id.replace("ASIA", "token-"))
        self.assertIn("x-amz-security-token", head["authorization"].split("SignedHeaders=")[1].split(",")[0])
        self.assertNotIn("secret-", self.sheaf.log)
        return int(id[4:]) >= number

    def await_keys(self, number=1):
        wait_until(lambda: self.is_signed_with(number), what=f"keys of number {number}: {self.sheaf.log}")

    def test_an_instance_s(self):
        self.serve(AWS_EC2_METADATA_SERVICE_ENDPOINT=self.service.url + "/")
        self.await_keys()
        self.assertEqual([(method, path) for method, path, _, _ in self.service.asked],
                         [("PUT", "/latest/api/token"), ("GET", ROLES), ("GET", ROLES + "the-role")])
        self.assertTrue(self.service.asked[0][2]["x-aws-ec2-metadata-token-ttl-seconds"])

    def test_an_instance_s_of_before_sessions(self):
        self.service.knows_v2 = False
        self.serve(AWS_EC2_METADATA_SERVICE_ENDPOINT=self.service.url)
        self.await_keys()

    def test_an_instance_s_whose_sessions_do_not_reach_a_container(self):
        self.service.knows_v2, self.service.swallows = False, ("/latest/api/token",)
        self.serve(AWS_EC2_METADATA_SERVICE_ENDPOINT=self.service.url)
        self.await_keys()
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(), 0)
        self.serve(AWS_EC2_METADATA_SERVICE_ENDPOINT=self.service.url, AWS_EC2_METADATA_V1_DISABLED="true")
        wait_until(lambda: "keys can't be got" in self.sheaf.log, what="the trouble to be told")
        self.assertEqual(self.status(), 503)

    def test_a_service_that_says_nothing_holds_nobody_up(self):
        self.service.swallows = ("/keys",)
        self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.service.url + "/keys")
        wait_until(lambda: self.service.asked, what="it to be asked")
        self.assertEqual(self.status(), 503)
        self.sheaf.reload()
        wait_until(lambda: "configuration reloaded" in self.sheaf.log, what="the reload")
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(5), 0)

    def test_a_service_that_is_dead_is_asked_again(self):
        wire = Faults(self, ("127.0.0.1", self.service.port))
        wire.close()
        self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{wire.address}/keys")
        wait_until(lambda: "keys can't be got" in self.sheaf.log, what="the trouble to be told")
        self.assertEqual(self.status(), 503)
        wire.open()
        self.await_keys()

    def test_a_container_s(self):
        file = self.folder() / "token"
        file.write_text("Bearer-1\n")
        self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.service.url + "/v1/keys?x=1",
                   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file))
        self.await_keys()
        [(method, path, head, _)] = self.service.asked
        self.assertEqual((method, path, head["authorization"]), ("GET", "/v1/keys?x=1", "Bearer-1"))

    def test_a_web_identity_s(self):
        file = self.folder() / "token"
        file.write_text("a.b+c/==")
        self.serve(AWS_WEB_IDENTITY_TOKEN_FILE=str(file), AWS_ROLE_ARN="arn:aws:iam::1:role/r", AWS_ENDPOINT_URL_STS=self.service.url)
        self.await_keys()
        [(method, _, _, body)] = self.service.asked
        said = urllib.parse.parse_qs(body)
        self.assertTrue(said.pop("RoleSessionName")[0].startswith("sheaf-"))
        self.assertEqual((method, said), ("POST", {"Action": ["AssumeRoleWithWebIdentity"], "Version": ["2011-06-15"],
                                                   "RoleArn": ["arn:aws:iam::1:role/r"], "WebIdentityToken": ["a.b+c/=="]}))

    def test_keys_are_got_anew_before_they_end_and_used_until_then(self):
        self.service.lasts = 4
        self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.service.url + "/keys")
        self.await_keys()
        self.await_keys(2)
        self.service.trouble = (500, '{"code": "Trouble", "message": "none\\u0000 today"}')
        wait_until(lambda: "those got before are used until they end" in self.sheaf.log, what="the trouble to be told")
        self.assertIn("Trouble: none", self.sheaf.log)
        wait_until(lambda: self.status() == 503, what="the keys to end")
        self.assertIn("no keys", self.said)
        self.assertIn("keys have ended", self.sheaf.log)
        self.service.trouble, self.service.lasts = None, 3600
        self.await_keys(3)
        before = self.service.serial
        self.sheaf.reload()
        self.assertTrue(self.is_signed_with(before))  # a reload knows them

    def test_without_keys_nothing_is_asked(self):
        for answer in ((404, ""), (200, "nonsense"), (200, "{}"), (200, "x" * 100_000), (200, '{"Code": "Failed"}'),
                       (200, '{"AccessKeyId": "a\\nb", "SecretAccessKey": "x"}'),
                       (200, '{"AccessKeyId": "a", "SecretAccessKey": "x", "Expiration": "2001-01-01T00:00:00Z"}')):
            self.service.trouble = answer
            self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.service.url + "/keys")
            wait_until(lambda: "keys can't be got" in self.sheaf.log, what="the trouble to be told")
            self.assertEqual(self.status(), 503)
            self.sheaf.terminate()
            self.assertEqual(self.sheaf.wait(), 0)
        self.assertEqual(self.service.store_heads, [])

    def test_keys_are_not_fetched_in_the_open_from_afar(self):
        self.serve(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://keys.example.org/")
        wait_until(lambda: "must be https, or of this machine" in self.sheaf.log, what="the refusal")
        self.assertEqual(self.status(), 503)


class Refused(Case):
    def test_a_store_that_does_not_take_our_keys_is_not_the_clients_fault(self):
        code = "ExpiredToken"
        store = Store(self, lambda *_: (403, XML, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()))
        self.sheaf = Sheaf(self, blob_pool([store.url], stamp="no", probe="no"), proxy={"workers": 1})
        raw = Raw(self.sheaf.target("mail"))
        delete = b"<Delete><Object><Key>k</Key></Object></Delete>"
        asked = [("GET", "/traps/k", {}, b""), ("PUT", "/traps/k", {}, b"x"), ("PUT", "/traps/k", {"x-amz-copy-source": "/traps/j"}, b""),
                 ("GET", "/traps?list-type=2", {}, b""), ("POST", "/traps/k?uploads", {}, b""), ("PUT", "/traps", {}, b""),
                 ("POST", "/traps?delete", {"content-md5": base64.b64encode(hashlib.md5(delete).digest()).decode()}, delete)]
        for code in ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
                     "AuthorizationHeaderMalformed"):
            for method, path, fields, body in asked:
                with self.subTest(code=code, method=method, path=path):
                    status, _, text = raw.ask(method, path, fields, body)
                    told = dict(re.findall(r"<(\w+)>([^<]+)<", text.decode()))
                    self.assertEqual((status, told["Code"]), (200 if body == delete else 503, "SlowDown"), text)
                    self.assertRegex(told["Message"], rf"^Shard 0 \(127.0.0.1:\d+\) does not serve: it does not take our keys: {code}$")
        self.assertIn("a store does not take the keys", self.sheaf.log)
        code = "SignatureDoesNotMatch"  # of a hash that is the client's
        self.assertEqual(raw.ask("PUT", "/traps/k", {}, b"x", hashlib.sha256(b"y").hexdigest())[0], 403)
        code = "AccessDenied"
        self.assertEqual([raw.ask(*each)[0] for each in asked[:2]], [403, 403])


if __name__ == "__main__":
    main()
