"""HTTP and signatures as far as a measurement needs them."""
import hashlib
import hmac
import http.client
import subprocess
import time
import urllib.parse

from ..processes import Failed, last_lines

ID, SECRET, REGION, BUCKET = "AKBENCH", "bench-secret-of-forty-letters-0123456789", "us-east-1", "bench"


def signing_key(date):
    key = b"AWS4" + SECRET.encode()
    for part in (date, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def presigned(port, path, method="GET", expires=86400):
    """The path with its query, good for a day."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='-_.~')}" for name, value in sorted({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{ID}/{scope}",
        "X-Amz-Date": now, "X-Amz-Expires": str(expires), "X-Amz-SignedHeaders": "host"}.items()))
    canonical = f"{method}\n{path}\n{query}\nhost:127.0.0.1:{port}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(signing_key(now[:8]), text.encode(), hashlib.sha256).hexdigest()
    return f"{path}?{query}&X-Amz-Signature={signature}"


def request_text(port, path, method="GET", fields=""):
    """A request, signed by its query, as the bytes to send."""
    return (f"{method} {presigned(port, path, method)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"{fields}\r\n").encode()


def ask(port, path, method="GET", body=None):
    """(status, body) of one signed request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, presigned(port, path, method), body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as problem:
        raise Failed(f"{path}: {problem!r}") from None
    finally:
        connection.close()


def wait_until_it_answers(process, port, path, seconds=30):
    """Until it gives this object; Failed says what the log says."""
    end, reply = time.monotonic() + seconds, "nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended with code {process.returncode}: {last_lines(process.log)}")
        try:
            status, reply = ask(port, path)
            if status == 200:
                return
        except (OSError, Failed) as problem:
            reply = str(problem)
        time.sleep(0.05)
    raise Failed(f"does not answer: {reply}")


def placement(program, folder, shards, keys):
    """Which of these keys lie on which shard, as `sheaf route` tells."""
    path = folder / "placement.ini"
    path.write_text("[proxy]\nadmin = off\n[blob bench]\nlisten = s3://127.0.0.1:1\n"
                    f"access_key = {ID} {SECRET}\n" +
                    "".join(f"shard = s3://x:y@127.0.0.1:{n + 2}/bench{n}\n" for n in range(shards)))
    done = subprocess.run([program, "route", str(path), "bench", "-"], input="\n".join(keys) + "\n",
                          capture_output=True, text=True)
    found = [[] for _ in range(shards)]
    if done.returncode != 0:
        raise Failed(f"sheaf route: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        key, _, _, shard = line.split("\t")[:4]
        found[int(shard)].append(key)
    return found
