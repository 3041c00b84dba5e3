"""Puts a step's `path` arguments at local paths, and digests them while the step runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flowrun.engine.digest import Digest, digest_of
from flowrun.engine.values import OutputValue
from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models.uri import (
    AliasUri,
    LoggedModelUri,
    RunUri,
    StageUri,
    VersionUri,
    parse_model_uri,
)
from flowrun.registry.store import RegistryStore
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.store import TrackingStore

FICLONE = 0x40049409
"""ioctl(2): share the blocks of a file; Btrfs, XFS and others do, most do not."""
LINKED_FROM_BYTES = 64 << 20
"""A local artifact from this size on is linked (read-only), not copied, into a step's inputs."""


def scheme_of(value: str) -> str:
    """Give a URI's scheme, '' for a plain path (and for `C:`-like single letters)."""
    scheme = urlsplit(value).scheme
    return scheme if len(scheme) > 1 else ""


def local_path_of(value: str) -> Path | None:
    """Give the path that a plain path or a `file:` URI means; None for anything remote."""
    scheme = scheme_of(value)
    if scheme == "":
        return Path(value)
    if scheme == "file":
        return Path(unquote(urlsplit(value).path))
    return None


@dataclass(slots=True)
class Inputs:
    """The `path` arguments of one step."""

    project: Path
    """The project's directory in the step's working directory."""
    folder: Path
    """Where things that are not local are put."""
    cwd: Path
    fetch: Callable[[str, Path], Path]
    """URI and folder to a local path inside it."""
    placed: dict[str, tuple[str, Path, Digest | None]] = field(default_factory=dict)

    def place(self, name: str, value: str) -> str:
        """Give the local path for an argument, fetched if need be."""
        known = value.digest if isinstance(value, OutputValue) else None
        path = self._find(name, value)
        self.placed[name] = (str(value), path, known)
        return str(path)

    def _find(self, name: str, value: str) -> Path:
        local = local_path_of(value)
        if local is None:
            target = self.folder / name
            target.mkdir(parents=True, exist_ok=True)
            return self.fetch(value, target)
        if local.is_absolute():
            return local
        for base in (self.project, self.cwd):
            if (base / local).exists():
                return base / local
        raise InvalidValueError(
            f"'{name}' is a path, but '{value}' exists neither in the project nor in {self.cwd}"
        )


class Digester:
    """Digests inputs in a thread of its own while the step's command runs."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._digests: dict[str, tuple[str, Digest]] = {}
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None
        unknown = [name for name, (_, _, digest) in inputs.placed.items() if digest is None]
        if unknown:
            self._thread = threading.Thread(target=self._digest, name="flowrun-digest")
            self._thread.start()

    def result(self) -> dict[str, tuple[str, Digest]]:
        """Wait, and give each input's URI and digest. Raises OSError if one can't be read."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        for name, (uri, _, digest) in self._inputs.placed.items():
            if digest is not None:
                self._digests[name] = (uri, digest)
        return self._digests

    def _digest(self) -> None:
        for name, (uri, path, digest) in self._inputs.placed.items():
            if digest is None:
                try:
                    self._digests[name] = (uri, digest_of(path))
                except OSError as error:
                    self._error = error
                    return


class Fetcher:
    """Fetches what a `path` argument names: `runs:/`, `models:/`, or a URI that fsspec knows."""

    def __init__(
        self,
        tracking: TrackingStore,
        registry: RegistryStore,
        open_artifacts: Callable[[str], Artifacts],
    ) -> None:
        self._tracking = tracking
        self._registry = registry
        self._open_artifacts = open_artifacts

    def __call__(self, uri: str, folder: Path) -> Path:
        """Put what `uri` names into `folder`; give its path."""
        artifacts, path = self._locate(uri)
        target = folder / (path.rsplit("/", 1)[-1] or "artifacts")
        local = artifacts.local_path(path)
        if local is not None and local.exists():
            _copy(local, target)
        else:
            artifacts.get(path, target)
        return target

    def _locate(self, uri: str) -> tuple[Artifacts, str]:
        if scheme_of(uri) not in {"runs", "models"}:
            base, _, name = uri.rstrip("/").rpartition("/")
            return self._open_artifacts(base), name
        match parse_model_uri(uri):
            case RunUri(run_id, path):
                run = self._tracking.get_run(run_id)
                artifacts = self._open_artifacts(run.info.artifact_uri)
                if not artifacts.exists(path):
                    for output in run.model_outputs:
                        model = self._tracking.get_logged_model(output.model_id)
                        if model.name == path:
                            return self._open_artifacts(model.artifact_uri), ""
                return artifacts, path
            case LoggedModelUri(model_id):
                return self._open_artifacts(
                    self._tracking.get_logged_model(model_id).artifact_uri
                ), ""
            case AliasUri(name, alias):
                version = self._registry.get_version_by_alias(name, alias)
            case VersionUri(name, number):
                version = self._registry.get_model_version(name, number)
            case StageUri(name, stage):
                latest = self._registry.get_latest_versions(name, [stage])
                if not latest:
                    raise FlowrunError(f"model '{name}' has no version in stage {stage}")
                version = latest[0]
        return self._open_artifacts(version.download_uri), ""


def _copy(source: Path, target: Path) -> None:
    """Copy a file or directory, sharing blocks or linking large files where that can be done."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
    else:
        _copy_file(str(source), str(target))


def _copy_file(source: str, target: str) -> str:
    with open(source, "rb") as from_file:  # noqa: PTH123 - copytree hands over texts
        info = os.fstat(from_file.fileno())
        with open(target, "wb") as to_file:  # noqa: PTH123
            try:
                fcntl.ioctl(to_file.fileno(), FICLONE, from_file.fileno())
            except OSError:
                is_shared = False
            else:
                is_shared = True
    if is_shared:
        shutil.copystat(source, target)
    elif info.st_size >= LINKED_FROM_BYTES and _link(source, target):
        pass
    else:
        shutil.copy2(source, target)
    return target


def _link(source: str, target: str) -> bool:
    """Replace `target` by a hard link to a file that nobody may write; False across devices."""
    os.unlink(target)  # noqa: PTH108
    try:
        os.chmod(source, 0o444)  # noqa: PTH101 - the two are one file from here on
        os.link(source, target)
    except OSError:
        return False
    return True
