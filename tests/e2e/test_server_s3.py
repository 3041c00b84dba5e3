"""`flowrun server` with its artifacts in S3, and MLflow's own client before it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.commanded import RunningServer, running_server
from tests.support.s3 import S3Server, s3_server
from tests.support.space import Space
from tests.support.waiting import until

pytestmark = pytest.mark.slow

CLIENT = """
import os, pathlib, sys
import mlflow

size = int(sys.argv[1])
pathlib.Path("files/deep").mkdir(parents=True)
pathlib.Path("files/a.txt").write_text("a")
with open("files/deep/large.bin", "wb") as file:
    file.write(os.urandom(size))
with mlflow.start_run() as run:
    mlflow.log_artifacts("files", "kept")
client = mlflow.MlflowClient()
found = {f.path: (f.is_dir, f.file_size) for f in client.list_artifacts(run.info.run_id, "kept")}
assert found == {"kept/a.txt": (False, 1), "kept/deep": (True, None)}, found
got = pathlib.Path(client.download_artifacts(run.info.run_id, "kept", "."))
for name in ("a.txt", "deep/large.bin"):
    assert (got / name).read_bytes() == pathlib.Path("files", name).read_bytes(), name
print(run.info.artifact_uri)
"""

LARGE_BYTES = 200 * 2**20


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def run_client(space: Space, server: RunningServer, size: int, variables: Mapping[str, str]) -> str:
    """Run MLflow's client in a process of its own; give its run's artifact URI."""
    (space.path / "client").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT, str(size)],
        cwd=space.path / "client",
        env={
            "PATH": os.defpath,
            "HOME": str(space.path),
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_mlflows_client_keeps_artifacts_in_s3_through_the_server(
    s3: S3Server, space: Space
) -> None:
    bucket = s3.make_bucket()
    flags = ("--artifacts-destination", f"s3://{bucket}/kept")
    with running_server(space, *flags, **s3.variables) as server:
        uri = run_client(space, server, 20 * 2**20, {})
    folder = uri.removeprefix("mlflow-artifacts:/")
    assert sorted(s3.keys(bucket)) == [
        f"kept/{folder}/kept/a.txt",
        f"kept/{folder}/kept/deep/large.bin",
    ]


def test_mlflows_client_sends_large_files_to_s3_in_parts_of_its_own(
    s3: S3Server, space: Space
) -> None:
    bucket = s3.make_bucket()
    flags = ("--artifacts-destination", f"s3://{bucket}", "--access-log", "plain")
    parts = {
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(8 * 2**20),
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * 2**20),
        "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(8 * 2**20),
    }
    with running_server(space, *flags, **s3.variables) as server:
        run_client(space, server, 12 * 2**20, parts)
        server.process.terminate()
        log, _ = server.process.communicate(timeout=30)
    assert len(s3.keys(bucket)) == 2
    assert re.search(r"POST \S+/mpu/create/\S+ 200", log)
    assert re.search(r"POST \S+/mpu/complete/\S+ 200", log)
    assert not re.search(r"PUT \S+large.bin", log)
    assert s3.unfinished_uploads(bucket) == 0


def test_mlflows_client_reaches_a_root_in_s3_directly(s3: S3Server, space: Space) -> None:
    bucket = s3.make_bucket()
    flags = ("--default-artifact-root", f"s3://{bucket}/direct", "--no-serve-artifacts")
    with running_server(space, *flags, **s3.variables) as server:
        uri = run_client(space, server, 1000, s3.variables)
        assert uri.startswith(f"s3://{bucket}/direct/0/")
        run_id = uri.split("/")[-2]
        query = f"run_id={run_id}&path=kept/a.txt"
        assert server.get(f"/get-artifact?{query}").body == b"a"
        signed = server.post(
            "artifacts/presigned-download-url", {"run_id": run_id, "path": "kept/a.txt"}
        )
        assert (signed.status, signed.json["file_size"]) == (200, 1)


def peak_kib(pid: int) -> int:
    (peak,) = re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(peak)


@pytest.mark.parametrize("storage", ["local", "s3"])
def test_large_files_pass_through_in_bounded_memory(
    s3: S3Server, space: Space, storage: str
) -> None:
    place = f"s3://{s3.make_bucket()}" if storage == "s3" else "kept"
    block = os.urandom(2**20)
    with running_server(space, "--artifacts-destination", place, **s3.variables) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=120)
        path = "/api/2.0/mlflow-artifacts/artifacts/large"
        before_kib = peak_kib(server.process.pid)
        with contextlib.closing(connection):
            connection.putrequest("PUT", path)
            connection.putheader("Content-Length", str(LARGE_BYTES))
            connection.endheaders()
            for _ in range(LARGE_BYTES // len(block)):
                connection.send(block)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"{}")
            connection.request("GET", path)
            answer = connection.getresponse()
            while got := answer.read(len(block)):
                assert got == block
        # s3fs and what it needs take 60 MB by themselves.
        allowed_mib = 130 if storage == "s3" else 30
        assert peak_kib(server.process.pid) - before_kib < allowed_mib * 1024


def test_a_client_that_goes_in_mid_upload_leaves_nothing_in_s3(s3: S3Server, space: Space) -> None:
    bucket = s3.make_bucket()
    flags = ("--artifacts-destination", f"s3://{bucket}", "--metrics")
    with running_server(space, *flags, **s3.variables) as server:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as caller:
            caller.sendall(
                b"PUT /api/2.0/mlflow-artifacts/artifacts/half HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 12 * 2**20
            )
            until(lambda: s3.unfinished_uploads(bucket) == 1, what="the upload")
        until(lambda: b'status="499"' in server.get("/metrics").body, what="the client's end")
    assert (s3.keys(bucket), s3.unfinished_uploads(bucket)) == ([], 0)


def test_a_storage_that_is_away_is_an_error_that_is_not_retried(space: Space) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    away = {**S3Server(f"http://127.0.0.1:{port}").variables, "AWS_MAX_ATTEMPTS": "1"}
    with running_server(space, "--artifacts-destination", "s3://bucket", **away) as server:
        answer = server.call("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", b"x")
    assert (answer.status, answer.json["error_code"]) == (507, "INTERNAL_ERROR")
    assert "artifacts s3://bucket: 'a'" in answer.json["message"]
