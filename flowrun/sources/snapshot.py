"""A local directory as it is on disk, dirty or without git, as a tree.

The files are stored in a repository of flowrun's own, byte for byte, with an index of its own that
remembers what was seen: only what has changed since is read again. The user's repository lends
its list of ignored files and is otherwise only read.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from flowrun.sources.checkout import Checkout, find_checkout
from flowrun.sources.git import Git, GitFailedError
from flowrun.sources.repository import Repository, grafted
from flowrun.sources.source import Progress
from flowrun.valueclass import valueclass

DIFF_LIMIT_BYTES = 4 << 20

# Where no repository says what to ignore, what Python and MLflow themselves leave in a folder.
_IGNORED_WITHOUT_GIT = (
    "__pycache__/\n*.py[co]\n.ipynb_checkpoints/\n.venv/\nmlruns/\nmlartifacts/\nmlflow.db*\n"
)
_NO_COMMIT = re.compile(r"^error: '(.+)/' does not have a commit checked out$", re.MULTILINE)


@valueclass
class Snapshot:
    """The tree of a directory, and how it differs from the commit that is checked out there."""

    tree: str
    is_dirty: bool = False
    diff: str | None = None


@valueclass
class _OnDisk:
    """A tree that may link to other repositories, and those that it can't link to."""

    tree: str
    newborn: list[str]
    """Repositories without a commit, in folders of these names."""


@valueclass
class _Folder:
    """One work tree, stored in `repository` with an index of its own."""

    path: Path
    repository: Repository
    checkout: Checkout | None
    git: Git
    """At no particular place."""
    below: str = ""
    """Where this is within the outermost one, as `name/`; '' for that itself."""

    @property
    def index(self) -> Path:
        name = hashlib.sha256(os.fsencode(self.below)).hexdigest()[:16] if self.below else "top"
        return self.repository.path / f"index-{name}"

    @property
    def storing(self) -> Git:
        return self.git.on(self.repository.path, work_tree=self.path, index=self.index)


def take_snapshot(
    folder: Path, checkout: Checkout | None, repository: Repository, git: Git, progress: Progress
) -> Snapshot:
    """Store a directory as a tree. The caller holds the repository's lock.

    Args:
        folder: the directory, or the top of the checkout it lies in.
        checkout: what git says of it; None for a directory without git.
        repository: where the objects go.
        git: git, at no particular place.
        progress: told what may surprise.

    Raises:
        SourceError: a file can't be read.
    """
    return _stored(_Folder(folder, repository, checkout, git), progress)


def _stored(folder: _Folder, progress: Progress) -> Snapshot:
    on_disk = _tree_on_disk(folder, progress)
    diff = _diff(folder, on_disk.tree)
    is_dirty = diff is not None
    pin = f"refs/flowrun/trees/{on_disk.tree}"
    if not on_disk.newborn and folder.repository.is_pinned(pin):
        return Snapshot(on_disk.tree, is_dirty, diff)
    entries = folder.repository.entries(on_disk.tree)
    nested = [entry.path for entry in entries if entry.is_submodule] + on_disk.newborn
    if not nested:
        folder.repository.pin(pin, on_disk.tree)
        return Snapshot(on_disk.tree, is_dirty, diff)
    plain = [entry for entry in entries if not entry.is_submodule]
    for path in nested:
        inner = _nested(folder, path, progress)
        if inner is not None:
            plain += grafted(path, folder.repository.entries(inner.tree))
            is_dirty |= inner.is_dirty or path in on_disk.newborn
            diff = f"{diff or ''}{inner.diff or ''}"
    whole = folder.repository.write_tree(plain)
    folder.repository.pin(f"refs/flowrun/trees/{whole}", whole)
    return Snapshot(whole, is_dirty, diff if is_dirty else None)


def _nested(folder: _Folder, path: str, progress: Progress) -> Snapshot | None:
    """The snapshot of a repository inside this one; None for one that isn't checked out here."""
    inside = folder.path / path
    if not os.path.lexists(inside / ".git"):
        progress(f"{folder.below}{path}: this submodule is not checked out, and left out")
        return None
    checkout = find_checkout(folder.git, inside)
    below = f"{folder.below}{path}/"
    return _stored(_Folder(inside, folder.repository, checkout, folder.git, below), progress)


def _tree_on_disk(folder: _Folder, progress: Progress) -> _OnDisk:
    """Store what is there now, once more from nothing if what an earlier run left is damaged."""
    if not folder.index.exists():
        progress(f"reading {folder.path}")
        return _store_files(folder)
    try:
        return _store_files(folder)
    except GitFailedError:
        folder.index.unlink(missing_ok=True)
        return _store_files(folder)


def _store_files(folder: _Folder) -> _OnDisk:
    # The caller holds the lock: what lies here is from a git that was killed.
    folder.index.with_name(f"{folder.index.name}.lock").unlink(missing_ok=True)
    _share_ignored(folder)
    newborn = _add_all(folder)
    tree = folder.storing.text("write-tree")
    if folder.checkout and tree == folder.checkout.tree:
        return _OnDisk(tree, newborn)
    if _settle_ignored(folder) | _settle_empty_submodules(folder):
        tree = folder.storing.text("write-tree")
    return _OnDisk(tree, newborn)


def _share_ignored(folder: _Folder) -> None:
    """Ignore what the user's repository ignores, also by the list that is not in the tree."""
    ignored = _IGNORED_WITHOUT_GIT.encode()
    if folder.checkout is not None:
        exclude = folder.checkout.exclude
        ignored = exclude.read_bytes() if exclude.is_file() else b""
    ours = folder.repository.path / "info" / "exclude"
    if not ours.exists() or ours.read_bytes() != ignored:
        ours.write_bytes(ignored)


def _add_all(folder: _Folder) -> list[str]:
    """Bring the index up to date; gives the repositories inside that have no commit yet.

    Git links to another repository by its commit, and stops at one that has none.
    """
    newborn: list[str] = []
    while True:
        excluded = [f":(exclude,literal){path}" for path in newborn]
        try:
            folder.storing.run("add", "--all", "--", ".", *excluded)
        except GitFailedError as failed:
            found = _NO_COMMIT.search(failed.stderr)
            if found is None:
                raise
            newborn.append(found[1])
        else:
            return newborn


def _settle_ignored(folder: _Folder) -> bool:
    """Make the index agree on ignored files; whether it did not.

    A file that is ignored belongs to the tree only if the user's own index has it nevertheless:
    ours remembers files from before they were ignored, and does not know what was added by force.
    """
    listing = ("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
    ours = _names(folder.storing.run(*listing))
    theirs: set[str] = set()
    if folder.checkout is not None:
        theirs = _names(folder.git.inside(folder.path).run(*listing))
    gone = ours - theirs
    forced = {name for name in theirs - ours if os.path.lexists(folder.path / name)}
    if gone:
        folder.storing.run("update-index", "-z", "--force-remove", "--stdin", stdin=_list(gone))
    if forced:
        folder.storing.run(
            "--literal-pathspecs",
            *("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul"),
            stdin=_list(forced),
        )
    return bool(gone or forced)


def _settle_empty_submodules(folder: _Folder) -> bool:
    """Take a submodule that isn't checked out for unchanged, as git does; whether there was one."""
    if folder.checkout is None or folder.checkout.tree is None:
        return False
    if not (folder.path / ".gitmodules").exists():
        return False
    theirs = Repository(
        folder.repository.path,
        folder.git.on(folder.repository.path, borrowed=folder.checkout.objects),
    )
    empty = [
        entry
        for entry in theirs.entries(folder.checkout.tree)
        if entry.is_submodule and _is_empty(folder.path / entry.path)
    ]
    lines = "".join(f"{each.mode} {each.oid}\t{each.path}\0" for each in empty)
    if empty:
        folder.storing.run("update-index", "-z", "--index-info", stdin=os.fsencode(lines))
    return bool(empty)


def _diff(folder: _Folder, tree: str) -> str | None:
    """What was changed since the commit, new files included, cut where it gets too long.

    None if nothing was, or if there is no commit.
    """
    committed = folder.checkout.tree if folder.checkout else None
    if folder.checkout is None or committed in {None, tree}:
        return None
    git = folder.git.on(folder.repository.path, borrowed=folder.checkout.objects)
    prefixes = (f"--src-prefix=a/{folder.below}", f"--dst-prefix=b/{folder.below}")
    options = ("-p", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv")
    with git.reading("diff-tree", *options, *prefixes, str(committed), tree) as stream:
        text = stream.read(DIFF_LIMIT_BYTES)
        is_cut = len(text) == DIFF_LIMIT_BYTES and stream.peek(1)
    note = (
        f"\n# cut after {DIFF_LIMIT_BYTES} bytes; all of it is in tree {tree}\n" if is_cut else ""
    )
    return text.decode(errors="replace") + note


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _names(listing: bytes) -> set[str]:
    return {name for name in os.fsdecode(listing).split("\0") if name}


def _list(names: set[str]) -> bytes:
    return os.fsencode("".join(f"{name}\0" for name in sorted(names)))
