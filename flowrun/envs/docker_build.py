"""Builds an image from a directory of a project."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from docker.utils.build import PatternMatcher

from flowrun.errors import EnvError
from flowrun.spec.project import BuildSpec
from flowrun.valueclass import valueclass

TAG = "image/1"
CODE = "/mlflow/projects/code"
"""Where MLflow puts a project's files in an image. Source: mlflow/projects/utils.py."""
_IGNORE_FILE = ".dockerignore"
_EXECUTABLE, _PLAIN = 0o755, 0o644


@valueclass
class BuildContext:
    """All that decides what an image is built to: files, and what is done with them."""

    directory: Path
    files: tuple[str, ...]
    """Relative to the directory, sorted; folders and links too."""
    dockerfile: str
    """Relative to the directory; also in `text`, if the project has no such file."""
    text: bytes | None
    args: tuple[tuple[str, str], ...]
    target: str | None
    platform: str | None

    def digest(self) -> str:
        """Give the sha256 hex of everything in it."""
        total = hashlib.sha256(f"{TAG}\n".encode())
        options = (self.dockerfile, self.text, sorted(self.args), self.target, self.platform)
        total.update(f"{options!r}\n".encode())
        for name in self.files:
            path = self.directory / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                kind, content = "link", os.fsencode(path.readlink())
            elif stat.S_ISREG(mode):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
                kind = "program" if mode & stat.S_IXUSR else "file"
            else:
                kind, content = "folder", b""
            total.update(f"{kind} {len(content)} {name!r}\n".encode() + content)
        return total.hexdigest()

    def tar(self) -> IO[bytes]:
        """Give it as the engine takes it: owned by root, the same bytes for the same files."""
        # Closed by the caller; a file, since a context may be larger than memory.
        packed = tempfile.TemporaryFile()  # noqa: SIM115
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in self.files:
                self._add(archive, name)
            if self.text is not None:
                info = tarfile.TarInfo(self.dockerfile)
                info.size = len(self.text)
                archive.addfile(info, io.BytesIO(self.text))
        packed.seek(0)
        return packed

    def _add(self, archive: tarfile.TarFile, name: str) -> None:
        path = self.directory / name
        info = archive.gettarinfo(str(path), name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = 0
        info.mode = _EXECUTABLE if info.isdir() or info.mode & stat.S_IXUSR else _PLAIN
        if info.isreg():
            with path.open("rb") as file:
                archive.addfile(info, file)
        elif info.isdir() or info.issym():
            archive.addfile(info)


def read_context(
    project: Path,
    build: BuildSpec,
    platform: str | None,
    variables: Mapping[str, str],
    where: str,
) -> BuildContext:
    """Look at what a project's `build` names; nothing is built.

    Args:
        variables: the caller's, for arguments without a value.
        where: `file:line:column: `, for messages.

    Raises:
        EnvError: there is no such directory or Dockerfile, or it lies outside of the project.
    """
    directory = project / build.context
    if not directory.is_dir() or not _is_inside(directory, project):
        raise EnvError(f"{where}docker_env: there is no directory '{build.context}' to build from.")
    dockerfile = str(PurePosixPath(build.dockerfile))
    if not (directory / dockerfile).is_file() or not _is_inside(directory / dockerfile, project):
        place = str(PurePosixPath(build.context) / dockerfile)
        raise EnvError(f"{where}docker_env: there is no Dockerfile '{place}' to build from.")
    files = tuple(_files(directory, dockerfile))
    given = ((arg, variables.get(arg)) if isinstance(arg, str) else arg for arg in build.args)
    args = tuple((name, value) for name, value in given if value is not None)
    return BuildContext(directory, files, dockerfile, None, args, build.target, platform)


def baked_context(project: Path, base: str, platform: str | None) -> BuildContext:
    """Give the context of an image that is `base` and has the project's files in it."""
    text = f"FROM {base}\nCOPY . {CODE}/\nWORKDIR {CODE}\n".encode()
    name = ".flowrun.Dockerfile"
    return BuildContext(project, tuple(_files(project, name)), name, text, (), None, platform)


def _files(directory: Path, dockerfile: str) -> Iterator[str]:
    """Yield all that .dockerignore leaves, in an order that does not depend on the disk."""
    ignore = directory / _IGNORE_FILE
    patterns: list[str] = []
    if ignore.is_file():
        lines = ignore.read_text(encoding="utf-8", errors="replace").splitlines()
        patterns = [line.strip() for line in lines if line.strip() and line.strip()[0] != "#"]
    # As in Docker, these two can't be left out: the engine itself needs them.
    matcher = PatternMatcher([*patterns, f"!{dockerfile}", f"!{_IGNORE_FILE}"])
    yield from sorted(set(matcher.walk(str(directory))))


def _is_inside(path: Path, project: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(project))
