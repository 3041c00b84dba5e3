"""Locks that come from outside: from a recorded run, or from a file of the project.

Such a lock is data. It is checked before anything is made of it, so that it can't say more than a
lock that flowrun makes of the same project: no options, no addresses of its own, no package that
is not pinned by a hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flowrun.envs import lock as locks
from flowrun.envs.inputs import Inputs
from flowrun.envs.local_trees import DESCRIPTIONS
from flowrun.envs.masking import mask, without_credentials
from flowrun.envs.requirements import (
    RESERVED,
    Requirement,
    lines_of,
    read_requirements,
    refusal_of_reserved_name,
)
from flowrun.errors import Problem, SpecError
from flowrun.spec.problems import Problems

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_PINNED = re.compile(r"[^=!<>~;@]+==[^=!<>~;,*\s]+(\s*;.*)?")
_COMMIT = re.compile(r"@[0-9a-f]{40}")


def check_tag(lock: str, tag: str, label: str) -> None:
    """Refuse a text that is no lock of this kind and version.

    Args:
        label: the lock's name in messages (`lock of python_env.yaml`).

    Raises:
        SpecError: its first line is another one.
    """
    first = lock.partition("\n")[0]
    if first != tag:
        text = f"this is no lock that this flowrun understands: it begins {first[:40]!r}, not {tag}"
        raise SpecError([Problem(label, 1, 1, text)])


def check_pins(lock: str, inputs: Inputs, label: str) -> None:
    """Refuse a lock in pip's format that no resolution of these inputs can have given.

    Args:
        label: as for `check_tag`.

    Raises:
        SpecError: all that is wrong with it.
    """
    problems = Problems()
    lines = lines_of(lock, label)
    for line, mark in lines:
        if line.lstrip().startswith("-"):
            problems.add(mark, f"'{mask(line.strip())}' is an option, and a lock has none")
    problems.raise_if_any()
    trees, asked = locks.trees(lock), set(_asked(inputs))
    for each in read_requirements(lines, inputs.directory, inputs.directory).wanted:
        if each.path is not None:
            if str(each) not in trees:
                problems.add(each.mark, f"'{each}' is a folder or file without its sha256")
        elif problem := _wrong(each, asked, inputs):
            problems.add(each.mark, f"'{mask(each.text)}' {problem}")
    problems.raise_if_any()


def _wrong(each: Requirement, asked: set[str], inputs: Inputs) -> str | None:
    """Say what is wrong with a package of a lock; None if nothing is."""
    found = _URL.search(each.text)
    if found is None:
        if each.name == RESERVED:
            return f"can't be installed: {refusal_of_reserved_name()}"
        if not _PINNED.fullmatch(each.text):
            return "names no exact version"
        return None if each.hashes else "has no hash"
    address = found[0]
    if place_of(address) not in asked and not _is_named_in(inputs, place_of(address)):
        return "is at an address that the project does not ask for"
    if address.startswith("git+"):
        return None if _COMMIT.search(address) else "names no commit"
    return None if each.hashes else "has no hash"


def _asked(inputs: Inputs) -> Iterator[str]:
    for each in (*inputs.requirements.wanted, *inputs.requirements.constraints):
        yield from (place_of(address) for address in _URL.findall(each.text))


def _is_named_in(inputs: Inputs, place: str) -> bool:
    """Tell whether an address is one that the project's uv.lock or own packages name."""
    bare = place.removeprefix("git+")
    texts = [inputs.uv_lock or ""]
    trees = (each.path for each in inputs.requirements.wanted if each.path)
    texts += [_text(tree / name) for tree in trees for name in DESCRIPTIONS]
    return any(bare in text for text in texts)


def place_of(address: str) -> str:
    """Return an address without credentials, commit and fragment."""
    bare = without_credentials(address).partition("#")[0]
    if not bare.startswith("git+"):
        return bare
    folder, slash, name = bare.rpartition("/")
    return f"{folder}{slash}{name.partition('@')[0]}"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
