"""Artifacts in S3: every promise, and direct transfers, with a real S3 endpoint."""

from __future__ import annotations

import http.client
import io
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from flowrun.errors import InvalidValueError, NotFoundError, StoreError
from flowrun.tracking.artifacts import Artifacts, DirectTransfer, open_artifacts, open_transfer
from tests.contracts.artifacts import ArtifactsContract, content
from tests.support.s3 import S3Server, s3_server

pytestmark = pytest.mark.slow

PART_BYTES = 5 * 2**20
"""The least that S3 takes as a part, but for the last one."""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.variables.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    return s3.make_bucket()


@pytest.fixture
def root(bucket: str) -> str:
    return f"s3://{bucket}/{uuid.uuid4().hex}"


class TestS3Artifacts(ArtifactsContract):
    """Every promise, in S3."""

    @pytest.fixture
    def artifacts(self, s3: S3Server, root: str) -> Artifacts:
        return open_artifacts("mlflow-artifacts:/1", destination=root, variables=s3.variables)


class BrokenStream(io.RawIOBase):
    """Gives so many bytes and then fails."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._rest = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._rest <= 0:
            raise ConnectionError("gone")
        count = min(size, self._rest)
        self._rest -= count
        return b"x" * count


@pytest.mark.parametrize("size", [100, 20 * 2**20], ids=["small", "in parts"])
def test_a_stream_that_breaks_off_leaves_nothing(
    s3: S3Server, bucket: str, root: str, size: int
) -> None:
    artifacts = open_artifacts(root, destination="/nowhere", variables=s3.variables)
    with pytest.raises(StoreError, match="gone"):
        artifacts.put_stream("half", BrokenStream(size))  # type: ignore[arg-type]  # reads like one
    assert not artifacts.exists("half")
    assert s3.unfinished_uploads(bucket) == 0


def test_a_large_stream_is_put_together_from_parts(s3: S3Server, root: str) -> None:
    artifacts = open_artifacts(root, destination="/nowhere", variables=s3.variables)
    data = bytes(range(256)) * (20 * 2**12) + b"end"
    artifacts.put_stream("large", io.BytesIO(data))
    with artifacts.open("large") as file:
        assert file.read(5) == data[:5]
        file.seek(len(data) - 3)
        assert file.read() == b"end"
    assert content(artifacts, "large") == data


def test_a_bucket_that_is_not_there_is_no_bug(s3: S3Server) -> None:
    artifacts = open_artifacts("s3://no-such-bucket/a", destination="/", variables=s3.variables)
    with pytest.raises((StoreError, NotFoundError)):
        artifacts.put_bytes("a", b"x")


def transfer_at(s3: S3Server, root: str) -> DirectTransfer:
    transfer = open_transfer("mlflow-artifacts:/", destination=root, variables=s3.variables)
    assert transfer is not None
    return transfer


def send(method: str, url: str, body: bytes | None = None) -> tuple[bytes, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        response = connection.getresponse()
        assert response.status == 200
        return response.read(), response.headers.get("ETag", "")
    finally:
        connection.close()


def test_a_client_sends_parts_by_itself(s3: S3Server, root: str) -> None:
    transfer = transfer_at(s3, root)
    started = transfer.start_parts("a/b", 2)
    bodies = [b"1" * PART_BYTES, b"2"]
    etags = [send("PUT", url, body)[1] for url, body in zip(started.urls, bodies, strict=True)]
    artifacts = open_artifacts(root, destination="/nowhere", variables=s3.variables)
    assert not artifacts.exists("a/b")
    transfer.complete_parts("a/b", started.upload_id, list(enumerate(etags, start=1)))
    assert content(artifacts, "a/b") == b"".join(bodies)


def test_an_upload_that_is_given_up_leaves_nothing(s3: S3Server, bucket: str, root: str) -> None:
    transfer = transfer_at(s3, root)
    started = transfer.start_parts("a", 1)
    send("PUT", started.urls[0], b"1")
    transfer.abort_parts("a", started.upload_id)
    assert s3.unfinished_uploads(bucket) == 0
    with pytest.raises(NotFoundError, match="No such upload"):
        transfer.abort_parts("a", started.upload_id)


def test_a_client_moves_a_file_by_signed_urls(s3: S3Server, root: str) -> None:
    transfer = transfer_at(s3, root)
    send("PUT", transfer.upload_url("a b", 60), b"content")
    url, size_bytes = transfer.download_url("a b", 60)
    assert (send("GET", url)[0], size_bytes) == (b"content", 7)
    with pytest.raises(NotFoundError):
        transfer.download_url("absent", 60)


@pytest.mark.parametrize("path", ["../a", "%2e%2e/a", "/a", "", "a\\b"])
def test_no_direct_transfer_leads_out_of_its_root(s3: S3Server, root: str, path: str) -> None:
    transfer = transfer_at(s3, root)
    for call in (
        lambda: transfer.download_url(path, 1),
        lambda: transfer.upload_url(path, 1),
        lambda: transfer.start_parts(path, 1),
        lambda: transfer.complete_parts(path, "x", [(1, "x")]),
        lambda: transfer.abort_parts(path, "x"),
    ):
        with pytest.raises(InvalidValueError):
            call()


def test_parts_have_a_number_that_storage_takes(s3: S3Server, root: str) -> None:
    for count in (0, 10_001):
        with pytest.raises(InvalidValueError, match="num_parts"):
            transfer_at(s3, root).start_parts("a", count)
