"""Private, sealed and removed folders: the file system work of the environment store."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from flowrun.errors import EnvError

_BYTECODE = "__pycache__"


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter; refuse one that is somebody else's.

    Raises:
        EnvError: it belongs to another user, or is no folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EnvError(
            f"{folder} is not a folder of this user, so no environment from it can be trusted.",
            "Remove it, or choose another place with FLOWRUN_HOME.",
        )


def seal(prefix: Path) -> None:
    """Make a built environment read-only, except for Python's own bytecode caches.

    Folders lose their write permission, so nothing can be added, replaced or removed. Files keep
    theirs: uv hard-links them from its cache, so a change of mode would show in every other
    environment of the user. `__pycache__` folders are made now and stay writable: bytecode is
    written when a module is first imported, which costs less than compiling all of it here.
    """
    with os.scandir(prefix) as entries:
        found = list(entries)
    folders = [each for each in found if each.is_dir(follow_symlinks=False)]
    for folder in folders:
        if folder.name != _BYTECODE:
            seal(Path(folder))
    has_bytecode = any(folder.name == _BYTECODE for folder in folders)
    if not has_bytecode and any(each.name.endswith(".py") for each in found):
        (prefix / _BYTECODE).mkdir()
    prefix.chmod(0o555)


def remove(folder: Path) -> None:
    """Remove a folder, sealed or not; one that is not there is fine."""
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    # A killed builder's child may still be writing here: what it adds now, the next sweep removes.
    shutil.rmtree(folder, ignore_errors=True)
