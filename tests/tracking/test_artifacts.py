"""Artifacts in directories and in storage of fsspec's; which URIs open which."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from flowrun.errors import InvalidValueError, StoreError, UnsupportedError
from flowrun.tracking.artifacts import Artifacts, open_artifacts
from tests.contracts.artifacts import ArtifactsContract, content


class TestLocalArtifacts(ArtifactsContract):
    """Every promise, in a directory."""

    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> Artifacts:
        return open_artifacts("mlflow-artifacts:/1/run/artifacts", destination=f"{tmp_path}/store")


class TestRemoteArtifacts(ArtifactsContract):
    """Every promise, in the file system that fsspec keeps in memory."""

    @pytest.fixture
    def artifacts(self) -> Artifacts:
        return open_artifacts(
            "mlflow-artifacts:/1/run/artifacts", destination=f"memory://{uuid.uuid4().hex}"
        )


def test_local_artifacts_lie_under_the_destination(tmp_path: Path) -> None:
    artifacts = open_artifacts("mlflow-artifacts:/1/run", destination=str(tmp_path))
    artifacts.put_bytes("a/b", b"x")
    assert artifacts.local_path("a/b") == tmp_path / "1" / "run" / "a" / "b"
    assert (tmp_path / "1" / "run" / "a" / "b").read_bytes() == b"x"


def test_remote_artifacts_lie_under_the_destination() -> None:
    bucket = uuid.uuid4().hex
    artifacts = open_artifacts("mlflow-artifacts:/1/run", destination=f"memory://{bucket}/top")
    artifacts.put_bytes("a", b"x")
    assert artifacts.local_path("a") is None
    assert fsspec.filesystem("memory").cat(f"/{bucket}/top/1/run/a") == b"x"


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_paths_and_file_uris_open_directly(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert content(open_artifacts(form.format(tmp_path), destination="/nowhere"), "a") == b"x"


def test_file_uri_is_decoded_once(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    artifacts = open_artifacts((tmp_path / "a b").as_uri(), destination="/nowhere")
    artifacts.put_bytes("c", b"x")
    assert (tmp_path / "a b" / "c").exists()


URIS = {
    "climbing": ("mlflow-artifacts:/1/../2", "it climbs with '..'."),
    "encoded": ("mlflow-artifacts:/1/%2e%2e/2", "it climbs with '..'."),
    "encoded twice": ("file:///a/%252e%252e/b", "it climbs with '..'."),
    "fragment": ("mlflow-artifacts:/1#x", "it has a query or a fragment."),
    "query": ("s3://bucket/a?versionId=1", "it has a query or a fragment."),
    "backslash": ("mlflow-artifacts:/..\\x", "it has a backslash."),
    "user": ("sftp://me@host/a", "it names a user."),
    "nul": ("/a/\0", "it has a control character."),
    "another host": ("file://server/share", "it is no absolute path here."),
    "relative": ("some/folder", "it is no absolute path here."),
    "another server": (
        "mlflow-artifacts://host:5000/1",
        "artifacts of the server host:5000 are only known there.",
    ),
}


@pytest.mark.parametrize(("uri", "reason"), URIS.values(), ids=URIS)
def test_uri_is_refused(uri: str, reason: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        open_artifacts(uri, destination="/nowhere")
    assert str(error.value) == f"Invalid path '{uri}': {reason}"


@pytest.mark.parametrize("uri", ["ftp://host/a", "zip://x::file:///etc", "github://a:b@/", "x:/a"])
def test_only_known_storage_is_opened(uri: str) -> None:
    with pytest.raises((UnsupportedError, InvalidValueError)):
        open_artifacts(uri, destination="/nowhere")


def test_storage_whose_package_is_missing_says_which() -> None:
    with pytest.raises(UnsupportedError, match=r"artifacts at 'gs://bucket/a': .*gcsfs") as caught:
        open_artifacts("gs://bucket/a", destination="/nowhere")
    assert caught.value.hint == "pip install 'flowrun[gcs]'"


@pytest.mark.parametrize(
    "call",
    {
        "open": lambda artifacts: artifacts.open("link"),
        "open inside": lambda artifacts: artifacts.open("dir/secret"),
        "get": lambda artifacts: artifacts.get("link", Path("/nowhere")),
        "put": lambda artifacts: artifacts.put_bytes("dir/new", b"x"),
        "list": lambda artifacts: artifacts.list("dir"),
        "delete inside": lambda artifacts: artifacts.delete("dir/secret"),
        "local_path": lambda artifacts: artifacts.local_path("link"),
    }.values(),
)
def test_link_among_artifacts_is_no_way_out(
    tmp_path: Path, call: Callable[[Artifacts], object]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s3cret")
    root = tmp_path / "store" / "1"
    root.mkdir(parents=True)
    (root / "link").symlink_to(outside / "secret")
    (root / "dir").symlink_to(outside)
    artifacts = open_artifacts("mlflow-artifacts:/1", destination=str(tmp_path / "store"))
    with pytest.raises(InvalidValueError, match="leads out of its place"):
        call(artifacts)
    assert [each.name for each in outside.iterdir()] == ["secret"]
    assert list(artifacts.list()) == []


def test_root_that_links_out_of_the_destination_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1").symlink_to(tmp_path / "outside")
    artifacts = open_artifacts("mlflow-artifacts:/1", destination=str(tmp_path / "store"))
    with pytest.raises(InvalidValueError, match="leads out of its place"):
        artifacts.put_bytes("a", b"x")


def test_deleting_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    artifacts = open_artifacts(str(tmp_path), destination="/nowhere")
    artifacts.put_bytes("target", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    artifacts.delete("link")
    assert [each.path for each in artifacts.list()] == ["target"]


class _Breaking:
    """A stream that ends in an error, as an upload does whose sender goes away."""

    def __init__(self) -> None:
        self._parts = [b"half"]

    def read(self, _size: int = -1) -> bytes:
        if self._parts:
            return self._parts.pop()
        raise ConnectionError("gone")


@pytest.mark.parametrize("where", ["directory", "memory"])
def test_stream_that_breaks_off_leaves_nothing(tmp_path: Path, where: str) -> None:
    destination = str(tmp_path) if where == "directory" else f"memory://{uuid.uuid4().hex}"
    artifacts = open_artifacts("mlflow-artifacts:/1", destination=destination)
    artifacts.put_bytes("a", b"before")
    with pytest.raises((StoreError, ConnectionError)):
        artifacts.put_stream("a", _Breaking())  # type: ignore[arg-type] # all that is read of it
    assert content(artifacts, "a") == b"before"
    assert [each.path for each in artifacts.list()] == ["a"]
    if where == "directory":
        assert [each.name for each in (tmp_path / "1").iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("path", "reason"), [("a/b", "a file is in its way."), ("dir", "it is a folder.")]
)
def test_what_is_in_the_way_is_told(tmp_path: Path, path: str, reason: str) -> None:
    artifacts = open_artifacts(str(tmp_path), destination="/nowhere")
    artifacts.put_bytes("a", b"x")
    artifacts.put_bytes("dir/b", b"x")
    with pytest.raises(InvalidValueError) as error:
        artifacts.put_bytes(path, b"x")
    assert str(error.value) == f"Invalid path '{path}': {reason}"


def test_unreadable_artifact_is_the_storage_failing(tmp_path: Path) -> None:
    artifacts = open_artifacts(str(tmp_path), destination="/nowhere")
    name = "x" * 300
    with pytest.raises(StoreError) as error:
        artifacts.put_bytes(f"{name}/a", b"x")
    assert str(error.value) == f"artifacts {tmp_path}: '{name}/a': File name too long"
