"""Flowrun's cache of sources: one bare repository per origin, one shared copy per tree."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flowrun.errors import SourceError, StoreError
from flowrun.sources.copies import SharedCopy, read_copy, remove
from flowrun.sources.git import PATIENCE_S, Git
from flowrun.sources.locks import locked
from flowrun.sources.publish import publish_copy
from flowrun.sources.repository import Repository
from flowrun.sources.source import Progress, Source


class SourceCache:
    """Where the trees of projects are kept; safe for many threads and flowruns at once.

    Repositories are never changed by anything but git, shared copies never at all. A folder of
    the cache may be removed whenever no flowrun runs; what it held is fetched or made again. The
    time of a repository or shared copy is that of its last use.
    """

    def __init__(
        self, root: Path, variables: Mapping[str, str], patience_s: float = PATIENCE_S
    ) -> None:
        """Nothing is made or asked until it is needed.

        Args:
            root: a folder of flowrun's own; made, for its user alone, when first used.
            variables: the caller's environment. Git finds there its program, its settings and how
                to log in.
            patience_s: how long a host may say nothing at all.
        """
        self.git = Git.of(variables, patience_s)
        self.variables = variables
        self._root = root
        self._copies: dict[str, SharedCopy] = {}
        self._making = threading.Lock()

    def project_dir(self, source: Source) -> Path:
        """The project's directory in the shared, read-only copy of its tree.

        Raises:
            SourceError: the tree holds a link that leads out of it, or no such directory.
            StoreError: the copy can't be made: disk full, or what the cache holds is damaged.
        """
        return self._project(source, self._copy(source).files)

    def write_out(self, source: Source, into: Path, only: Collection[str] | None = None) -> Path:
        """Write the tree to `into`, which must not exist or be empty; all or nothing.

        Args:
            source: its tree, and the project's directory in it, which is there in any case.
            into: the folder.
            only: the paths, from the tree's top, of the files to write; None: the whole tree.

        Returns:
            The project's directory in it.

        Raises:
            SourceError: `into` is not empty, or as for `project_dir`.
            StoreError: there is no room, or no right to write there.
        """
        if not self._copy(source).write_out(into, only):
            with self._making:
                self._copies.pop(source.tree, None)
            if not self._copy(source).write_out(into, only):
                raise StoreError(f"{self._root}: files of tree {source.tree} change all the time")
        if only is not None:
            (into / source.subdir).mkdir(parents=True, exist_ok=True)
        return self._project(source, into)

    def repository(self, address: str, about: str, hash_name: str = "sha1") -> Repository:
        """The bare repository for what is at this address, made if needed.

        Args:
            address: what tells it from others; no credentials.
            about: the same for people.
            hash_name: `sha1` or `sha256`.
        """
        place = self._place(address, hash_name)
        repository = Repository.ensure(place, self.git, about, hash_name, self.scratch)
        os.utime(place)  # tells when it was last used
        return repository

    def has_repository(self, address: str) -> bool:
        """Whether something was once fetched from this address."""
        return self._place(address, "sha1").exists()

    @contextmanager
    def lock(self, repository: Repository, progress: Progress, what: str) -> Iterator[None]:
        """Keep other flowruns from changing a repository; `what` says for whom they'd wait."""
        name = f"{repository.path.name}.lock"
        with locked(
            self.folder("locks") / name,
            lambda: progress(f"waiting for another flowrun that works on {what}"),
        ):
            yield

    def scratch(self) -> Path:
        """A fresh empty folder on the cache's file system; its user removes or renames it."""
        folder = self.folder("tmp")
        _sweep(folder)
        made = folder / f"{os.getpid()}-{os.urandom(8).hex()}"
        made.mkdir(mode=0o700)
        return made

    def folder(self, name: str) -> Path:
        """A folder of the cache."""
        folder = self._root / name
        if not folder.is_dir():
            _make_private(self._root)
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _place(self, address: str, hash_name: str) -> Path:
        key = hashlib.sha256(f"origin/1\n{hash_name}\n{address}".encode()).hexdigest()
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", address.removesuffix(".git").rpartition("/")[2])
        return self.folder("repositories") / f"{name[:40]}-{key}.git"

    def _copy(self, source: Source) -> SharedCopy:
        """The shared copy of the source's tree, looked through once in this process."""
        with self._making:
            known = self._copies.get(source.tree)
            if known is None:
                known = self._copies[source.tree] = self._read_or_make(source)
            return known

    def _read_or_make(self, source: Source) -> SharedCopy:
        _check_private(self._root)
        folder = self.folder("trees") / source.tree
        found = read_copy(folder)
        if found is not None:
            os.utime(folder)  # tells when it was last used
            return found
        with locked(self.folder("locks") / f"{source.tree}.lock", lambda: None):
            found = read_copy(folder)
            if found is not None:
                return found
            scratch = self.scratch()
            try:
                repository = Repository(source.repository, self.git.on(source.repository))
                publish_copy(repository, source.tree, folder, scratch)
            finally:
                remove(scratch)
            made = read_copy(folder)
        if made is None:
            raise StoreError(f"{folder}: the files change while they are written")
        return made

    def _project(self, source: Source, files: Path) -> Path:
        root = os.path.realpath(files)
        found = os.path.realpath(files / source.subdir)
        if not f"{found}/".startswith(f"{root}/"):
            raise SourceError(f"{source.uri}: the folder leads out of the project")
        if not Path(found).is_dir():
            raise _no_folder(source, files)
        return files / source.subdir


def _sweep(folder: Path) -> None:
    """Remove what flowruns that were killed have left; none works on one thing for a day."""
    for left in folder.iterdir():
        if left.lstat().st_mtime < time.time() - 86_400:
            remove(left)


def _no_folder(source: Source, files: Path) -> SourceError:
    names = [os.path.relpath(found, files) for found, _, _ in os.walk(files)]
    near = difflib.get_close_matches(source.subdir, sorted(names), n=1)
    hint = f"Did you mean #{near[0]}?" if near else None
    if (files / source.subdir).exists():
        hint = "Name the project's folder, not a file in it."
    return SourceError(f"{source.uri}: there is no folder {source.subdir!r} in the project", hint)


def _make_private(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(root)


def _check_private(root: Path) -> None:
    """Another user must not be able to put code here."""
    seen = root.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise StoreError(
            f"{root}: flowrun's cache must be a folder of your own",
            "Remove what is there, or let flowrun keep its cache elsewhere.",
        )
    if stat.S_IMODE(seen.st_mode) & 0o077:
        root.chmod(0o700)
