"""The promises of `Artifacts`: every storage subclasses this, with an `artifacts` fixture."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import ArtifactInfo

ESCAPES = {
    "climbing": ("../secret", "it climbs with '..'"),
    "climbing later": ("a/../../secret", "it climbs with '..'"),
    "encoded": ("%2e%2e/secret", "it climbs with '..'"),
    "encoded twice": ("%252e%252e%252fsecret", "it climbs with '..'"),
    "absolute": ("/etc/passwd", "it is absolute"),
    "encoded slash": ("%2Fetc/passwd", "it is absolute"),
    "backslash": ("..\\secret", "it has a backslash"),
    "nul": ("a\0b", "it has a control character"),
    "encoded newline": ("a%0Ab", "it has a control character"),
    "fragment": ("a#b", "it has a query or a fragment"),
    "query": ("a?b", "it has a query or a fragment"),
    "empty part": ("a//b", "it has an empty or '.' part"),
    "dot": ("./a", "it has an empty or '.' part"),
}
CALLS: dict[str, Callable[[Artifacts, str, Path], object]] = {
    "list": lambda artifacts, path, _: artifacts.list(path),
    "exists": lambda artifacts, path, _: artifacts.exists(path),
    "open": lambda artifacts, path, _: artifacts.open(path),
    "get": lambda artifacts, path, here: artifacts.get(path, here / "got"),
    "put_file": lambda artifacts, path, here: artifacts.put_file(here / "file", path),
    "put_directory": lambda artifacts, path, here: artifacts.put_directory(here, path),
    "put_bytes": lambda artifacts, path, _: artifacts.put_bytes(path, b"x"),
    "put_stream": lambda artifacts, path, _: artifacts.put_stream(path, BytesIO(b"x")),
    "delete": lambda artifacts, path, _: artifacts.delete(path),
    "local_path": lambda artifacts, path, _: artifacts.local_path(path),
}


def content(artifacts: Artifacts, path: str) -> bytes:
    with artifacts.open(path) as file:
        return file.read()


class ArtifactsContract:
    """The promises of `Artifacts`."""

    def test_nothing_is_there_at_first(self, artifacts: Artifacts) -> None:
        assert list(artifacts.list()) == []
        assert not artifacts.exists("a")

    def test_what_is_put_is_given_back(self, artifacts: Artifacts, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"1")
        artifacts.put_file(tmp_path / "file", "a/file")
        artifacts.put_bytes("a/bytes", b"22")
        artifacts.put_stream("stream", BytesIO(b"333"))
        assert content(artifacts, "a/file") == b"1"
        assert content(artifacts, "a/bytes") == b"22"
        assert content(artifacts, "stream") == b"333"

    def test_a_list_is_of_one_folder_by_name(self, artifacts: Artifacts) -> None:
        for path in ("b/c/d", "b/a", "c"):
            artifacts.put_bytes(path, b"xy")
        assert list(artifacts.list()) == [
            ArtifactInfo("b", is_dir=True, size_bytes=None),
            ArtifactInfo("c", is_dir=False, size_bytes=2),
        ]
        assert list(artifacts.list("b")) == [
            ArtifactInfo("b/a", is_dir=False, size_bytes=2),
            ArtifactInfo("b/c", is_dir=True, size_bytes=None),
        ]
        assert list(artifacts.list("b/")) == list(artifacts.list("b"))
        assert list(artifacts.list("c")) == list(artifacts.list("absent")) == []

    def test_a_file_is_replaced(self, artifacts: Artifacts) -> None:
        artifacts.put_bytes("a", b"long before")
        artifacts.put_bytes("a", b"new")
        assert content(artifacts, "a") == b"new"

    def test_a_folder_is_put_beside_what_is_there(
        self, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        artifacts.put_bytes("out/old", b"1")
        (tmp_path / "made" / "deep").mkdir(parents=True)
        (tmp_path / "made" / "deep" / "file").write_bytes(b"2")
        (tmp_path / "made" / "link").symlink_to("deep/file")
        artifacts.put_directory(tmp_path / "made", "out")
        assert [each.path for each in artifacts.list("out")] == ["out/deep", "out/link", "out/old"]
        assert content(artifacts, "out/deep/file") == content(artifacts, "out/link") == b"2"

    def test_a_folder_and_a_file_are_got(self, artifacts: Artifacts, tmp_path: Path) -> None:
        artifacts.put_bytes("out/deep/file", b"2")
        artifacts.get("out", tmp_path / "all")
        assert (tmp_path / "all" / "deep" / "file").read_bytes() == b"2"
        artifacts.get("out/deep/file", tmp_path / "one" / "name")
        assert (tmp_path / "one" / "name").read_bytes() == b"2"

    def test_what_is_deleted_is_gone(self, artifacts: Artifacts) -> None:
        for path in ("out/a/b", "out/c", "d"):
            artifacts.put_bytes(path, b"1")
        artifacts.delete("out/a")
        artifacts.delete("d")
        assert artifacts.exists("out/c")
        assert not artifacts.exists("out/a")
        assert not artifacts.exists("d")

    @pytest.mark.parametrize("name", ["é ü.txt", "100%.txt", "a%20b", "x;y&z=1", "-rf", "~"])
    def test_names_are_kept_as_they_are(
        self, artifacts: Artifacts, tmp_path: Path, name: str
    ) -> None:
        artifacts.put_bytes(f"dir/{name}", b"1")
        assert [each.path for each in artifacts.list("dir")] == [f"dir/{name}"]
        artifacts.get("dir", tmp_path / "got")
        assert [each.name for each in (tmp_path / "got").iterdir()] == [name]

    @pytest.mark.parametrize("call", ["open", "get", "delete", "local_path"])
    def test_what_is_missing_is_not_found(
        self, artifacts: Artifacts, tmp_path: Path, call: str
    ) -> None:
        with pytest.raises(NotFoundError) as error:
            CALLS[call](artifacts, "a/absent", tmp_path)
        assert str(error.value) == "No such artifact: 'a/absent'"

    def test_a_local_file_that_is_missing_is_not_found(
        self, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        with pytest.raises(NotFoundError, match="No such file"):
            artifacts.put_file(tmp_path / "absent", "a")

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize(("path", "reason"), ESCAPES.values(), ids=ESCAPES)
    def test_no_call_leaves_the_root(
        self,
        artifacts: Artifacts,
        tmp_path: Path,
        call: Callable[[Artifacts, str, Path], object],
        path: str,
        reason: str,
    ) -> None:
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(InvalidValueError, match="Invalid path") as error:
            call(artifacts, path, tmp_path)
        assert reason in str(error.value)

    @pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "."])
    def test_a_link_that_leads_out_is_not_put(
        self, artifacts: Artifacts, tmp_path: Path, target: str
    ) -> None:
        (tmp_path / "secret").write_text("s3cret")
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "good").write_text("x")
        (tmp_path / "made" / "link").symlink_to(target)
        with pytest.raises(InvalidValueError, match=r"link is a link that leads"):
            artifacts.put_directory(tmp_path / "made", "out")
        assert not artifacts.exists("out")

    def test_a_pipe_is_not_put(self, artifacts: Artifacts, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InvalidValueError, match="pipe is no file"):
            artifacts.put_file(tmp_path / "pipe", "a")
