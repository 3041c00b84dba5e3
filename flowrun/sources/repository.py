"""A bare repository of flowrun's own: where trees are kept, verb by verb."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from flowrun.sources.git import Git
from flowrun.valueclass import valueclass

LINK = "120000"
EXECUTABLE = "100755"
SUBMODULE = "160000"

# Above any .gitattributes: what is stored is byte for byte what was on disk, and no filter, which
# is a command that someone configured, ever runs.
_ATTRIBUTES = "* -text -crlf !eol -ident !filter !working-tree-encoding\n"


@valueclass
class TreeEntry:
    """A file, symbolic link or submodule of a tree."""

    mode: str
    """Six octal digits, as git writes them."""
    oid: str
    path: str

    @property
    def is_submodule(self) -> bool:
        """Whether this is no file but the commit of another repository."""
        return self.mode == SUBMODULE


@valueclass
class Repository:
    """One bare repository; `git` works on it and nothing else."""

    path: Path
    git: Git

    @classmethod
    def ensure(
        cls, path: Path, git: Git, about: str, hash_name: str, scratch: Callable[[], Path]
    ) -> Repository:
        """Open the repository, made first if it isn't there: whole, or not at all.

        Args:
            path: where it is or goes.
            git: git, at no particular place.
            about: for people who look into the cache; no credentials.
            hash_name: `sha1` or `sha256`.
            scratch: gives an empty folder on the same file system.
        """
        if not (path / "HEAD").exists():
            _make(path, git, about, hash_name, scratch())
        return cls(path, git.on(path))

    def find(self, name: str) -> str | None:
        """The object id that a full ref, or an expression that starts with one, means."""
        return self.git.asked("rev-parse", "--verify", "--quiet", name)

    def pin(self, ref: str, oid: str) -> None:
        """Keep this object, and what it needs, for ever under this ref."""
        self.git.run("update-ref", ref, oid)

    def is_pinned(self, ref: str) -> bool:
        """Whether something is kept under this ref.

        A look at the file that git makes of a new ref saves a process on the way to each run.
        """
        return (self.path / ref).is_file() or self.find(ref) is not None

    def entries(self, tree: str) -> list[TreeEntry]:
        """All files, links and submodules of a tree, in git's order."""
        listing = os.fsdecode(self.git.run("ls-tree", "-r", "-z", "--full-tree", tree))
        return [_entry(line) for line in listing.split("\0") if line]

    def write_tree(self, entries: Iterable[TreeEntry]) -> str:
        """Store a tree of these entries, whose objects are there already; give its id.

        Folders come about by themselves; the order does not matter.
        """
        index = self.path / f"index-{os.getpid()}-{os.urandom(4).hex()}"
        git = self.git.on(self.path, index=index)
        lines = "".join(f"{each.mode} {each.oid}\t{each.path}\0" for each in entries)
        try:
            git.run("update-index", "-z", "--index-info", stdin=os.fsencode(lines))
            return git.text("write-tree")
        finally:
            index.unlink(missing_ok=True)

    @contextmanager
    def contents(self, oids: Sequence[str], scratch: Path) -> Iterator[IO[bytes]]:
        """The objects one after the other, as `git cat-file --batch` prints them.

        Args:
            oids: what to read.
            scratch: a file to use on the way: a list in a file can't fill a pipe.
        """
        scratch.write_text("".join(f"{oid}\n" for oid in oids), encoding="ascii")
        with (
            scratch.open("rb") as wanted,
            self.git.reading("cat-file", "--batch", "--buffer", stdin=wanted) as stream,
        ):
            yield stream


def grafted(folder: str, entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    """The entries of one tree, as they are called when it lies in a folder of another."""
    return [replace(entry, path=f"{folder}/{entry.path}") for entry in entries]


def _make(path: Path, git: Git, about: str, hash_name: str, made: Path) -> None:
    git.inside(made).run(
        "init", "--quiet", "--bare", "--template=", f"--object-format={hash_name}", "."
    )
    (made / "info").mkdir()
    (made / "info" / "attributes").write_text(_ATTRIBUTES, encoding="ascii")
    (made / "description").write_text(f"{about}\n", encoding="utf-8")
    try:
        made.rename(path)
    except OSError:
        shutil.rmtree(made)
        # Another flowrun was first; an empty repository is as good as the next one.
        if not (path / "HEAD").exists():
            raise


def _entry(line: str) -> TreeEntry:
    facts, _, path = line.partition("\t")
    mode, _, oid = facts.split(" ")
    return TreeEntry(mode, oid, path)
