"""Puts a step's `path` arguments at local paths, and digests them while the step runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.engine.cache.digest import Digest, digest_of
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.steps.local_paths import local_path_of
from flowrun.engine.values import OutputValue
from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.sources.credentials import without_credentials


@dataclass(slots=True)
class Inputs:
    """The `path` arguments of one step."""

    project: Path
    """The project's directory: a copy of it, and from then on that in the step's own folder."""
    folder: Path
    """Where things that are not local are put."""
    cwd: Path
    fetch: Callable[[str, Path], Path]
    """URI and folder to a local path inside it."""
    placed: dict[str, tuple[str, Path, Digest | None]] = field(default_factory=dict)
    known: dict[str, Digest] = field(default_factory=dict)
    """What was digested before."""
    fetched: dict[str, Path] = field(default_factory=dict)

    def digest(self, name: str, value: str, memo: DigestMemo) -> Digest:
        """Digest an input before anything is placed, fetched if need be."""
        self.known[name] = memo.digest_of(self._find(name, value))
        return self.known[name]

    def changed(self, memo: DigestMemo) -> str | None:
        """Name an input outside of the step's folder that is not what it was any more."""
        for name, (_, path, digest) in self.placed.items():
            if digest is not None and not self._may_be_changed(path):
                try:
                    if memo.digest_of(path).sha256 != digest.sha256:
                        return name
                except OSError:
                    return name
        return None

    def place(self, name: str, value: str) -> str:
        """Give the local path for an argument, fetched if need be."""
        known = value.digest if isinstance(value, OutputValue) else self.known.get(name)
        path = self._find(name, value)
        if known is None and self._may_be_changed(path):
            known = digest_of(path)
        self.placed[name] = (without_credentials(value), path, known)
        return str(path)

    def _find(self, name: str, value: str) -> Path:
        local = local_path_of(value)
        if local is None:
            if name in self.fetched:
                return self.fetched[name]
            target = self.folder / name
            target.mkdir(parents=True, exist_ok=True)
            try:
                self.fetched[name] = self.fetch(value, target)
                return self.fetched[name]
            except FlowrunError as error:
                error.message = f"parameter '{name}': {error.message}"
                raise
        if local.is_absolute():
            return local
        for base in (self.project, self.cwd):
            if (base / local).exists():
                return base / local
        raise InvalidValueError(
            f"parameter '{name}' is a path, but '{value}' exists neither in the project nor "
            f"in {self.cwd}"
        )

    def _may_be_changed(self, path: Path) -> bool:
        """Whether the step has a copy of its own, which its command may change or move."""
        return path.is_relative_to(self.project) or path.is_relative_to(self.folder)


class Digester:
    """Digests other inputs, which may be large, while the step's command runs."""

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
