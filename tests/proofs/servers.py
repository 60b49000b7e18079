"Real servers for the proofs, on this machine only: an S3 server, and a proxy before it that records, refuses or does not answer."

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "a secret of tests"}


def free_port() -> int:
    "Find a port nobody listens on."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port: int, seconds: float = 60) -> None:
    "Wait until somebody listens."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    sys.exit(f"FAILED: nobody listens on port {port} after {seconds} s")


def install_tools(folder: Path, *packages: str) -> Path:
    "Install packages from the registry into a folder of their own."
    subprocess.run(
        [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "install",
            "--quiet",
            "--target",
            str(folder),
            *packages,
        ],
        check=True,
    )
    return folder


def bucket_store(port: int, bucket: str):
    "Make a bucket, waiting until the server takes a file; give pyarrow's view of the server."
    from pyarrow.fs import S3FileSystem

    store = S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}",
        scheme="http",
        region="us-east-1",
        access_key=KEYS["AWS_ACCESS_KEY_ID"],
        secret_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        allow_bucket_creation=True,
    )
    for attempt in range(60):
        try:
            store.create_dir(bucket)
            with store.open_output_stream(f"{bucket}/ready") as out:
                out.write(b"ready")
            store.delete_file(f"{bucket}/ready")
            return store
        except OSError as error:
            said = error
            time.sleep(1)
    sys.exit(f"FAILED: the S3 server takes no file: {said}")


@contextmanager
def s3_server(
    tools: Path, work: Path, *options: str, keys: tuple[dict[str, str], ...] = (KEYS,)
) -> Iterator[tuple[int, subprocess.Popen]]:
    "Run SeaweedFS from the folder of `install_tools`; give its port and process, end it by its id."
    port, parts = free_port(), [free_port() for _ in range(7)]
    people = [
        {
            "name": k["AWS_ACCESS_KEY_ID"],
            "credentials": [
                {"accessKey": k["AWS_ACCESS_KEY_ID"], "secretKey": k["AWS_SECRET_ACCESS_KEY"]}
            ],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        for k in keys
    ]
    (work / "s3.json").write_text(json.dumps({"identities": people}))
    (work / "weed").mkdir()
    ports = [
        f"-master.port={parts[0]}",
        f"-master.port.grpc={parts[1]}",
        f"-volume.port={parts[2]}",
        f"-volume.port.grpc={parts[3]}",
        f"-filer.port={parts[4]}",
        f"-filer.port.grpc={parts[5]}",
    ]
    command = [
        str(tools / "bin/weed"),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={work / 'weed'}",
        *ports,
        "-filer",
        "-s3",
        f"-s3.port={port}",
        f"-s3.port.grpc={parts[6]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={work / 's3.json'}",
        *options,
    ]
    with (work / "weed.log").open("w") as log:
        # without the phrase it refuses `sse AES256`
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=work,
            env=os.environ | {"HOME": str(work), "WEED_S3_SSE_KEY": "a phrase of tests"},
        )
        try:
            wait_for(port)
            yield port, server
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(30)


class Proxy(ThreadingHTTPServer):
    """Stands before an S3 server.

    Passes everything on and keeps what was asked, or answers every request with one of AWS's
    errors.
    """

    daemon_threads = True

    def __init__(self, behind: int, error: tuple[int, str, str] | None, after: int) -> None:
        self.behind, self.error, self.after, self.asked = behind, error, after, []
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    "One connection to a `Proxy`."

    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *words: object) -> None:
        "Say nothing."

    def body(self) -> bytes:
        "Read what came, chunk by chunk if need be."
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def handle_any(self) -> None:
        """Pass a request on, or refuse it as AWS does.

        With a reason in XML, except to HEAD, whose answers have no body.
        """
        sent = self.body()
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        error = self.server.error if len(self.server.asked) > self.server.after else None
        if error:
            status, headers, content = (
                error[0],
                [("Content-Type", "application/xml")],
                (
                    '<?xml version="1.0" encoding="UTF-8"?>\n'
                    f"<Error><Code>{error[1]}</Code><Message>{error[2]}</Message><RequestId>1</RequestId></Error>"
                ).encode(),
            )
        else:
            link = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
            link.request(
                self.command,
                self.path,
                sent,
                {
                    k: v
                    for k, v in self.headers.items()
                    if k.lower() not in ("transfer-encoding", "content-length", "expect")
                }
                | {"Content-Length": str(len(sent))},
            )
            answer = link.getresponse()
            status, headers, content = answer.status, answer.getheaders(), answer.read()
            link.close()
        self.send_response_only(status)
        length = (
            next((v for k, v in headers if k.lower() == "content-length"), None)
            if self.command == "HEAD" and not error
            else str(len(content))
        )
        for name, value in [
            h
            for h in headers
            if h[0].lower() not in ("transfer-encoding", "content-length", "connection")
        ]:
            self.send_header(name, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any


@contextmanager
def proxy(
    behind: int, error: tuple[int, str, str] | None = None, after: int = 0
) -> Iterator[tuple[int, list]]:
    """Run a `Proxy` that answers with an error (status, code, message) after so many requests.

    Give its port and the list of what was asked: (method, path, headers).
    """
    server = Proxy(behind, error, after)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], server.asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_port() -> Iterator[int]:
    "Give a port where connections are taken and nothing is ever answered."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        yield s.getsockname()[1]
