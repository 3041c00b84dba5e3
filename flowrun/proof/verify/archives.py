"""Compares zip archives by their members, and scikit-learn models that skops has packed into one.

An archive holds the times at which it was packed. One of skops's also names its members after the
addresses that objects had in memory: neither says anything of the model. Nothing is unpickled.
Source: skops.io, protocol 2 (`schema.json`, and the arrays that it names).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flowrun.proof.verify.arrays import UnknownArrayError, compare_arrays
from flowrun.proof.verify.difference import Difference, is_ignored
from flowrun.proof.verify.values import UnreadableError, compare_values
from flowrun.spec.project import Tolerance

SCHEMA = "schema.json"
_MAX_SCHEMA_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
_ID, _FILE, _CACHED = "__id__", "file", "CachedNode"


def compare_archive(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare the members of two zip archives by name and bytes."""
    with _opened(recorded) as before, _opened(found) as after:
        names = dict.fromkeys([*before.namelist(), *after.namelist()])
        for name in names:
            if is_ignored(name, tolerance.ignore):
                continue
            in_both = [name in archive.namelist() for archive in (before, after)]
            if not all(in_both):
                was, now = ("there" if each else "not there" for each in in_both)
                yield Difference(f"member '{name}'", was, now)
            elif not _has_same_bytes(before, name, after, name):
                sizes = (str(archive.getinfo(name).file_size) for archive in (before, after))
                was, now = (f"{size} bytes" for size in sizes)
                yield Difference(f"member '{name}'", was, now)


def compare_skops(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two models by what skops's schema says of them, and their arrays."""
    with _opened(recorded) as before, _opened(found) as after:
        old, new = _Schema(before), _Schema(after)
        count = 0
        for each in compare_values("", old.content, new.content, tolerance):
            count += 1
            names = [name for name in each.place.split(".") if name != "content"]
            yield replace(each, place=".".join(names) or "model")
        if count:
            return  # what is not built alike has no arrays to compare one by one
        for place, old_name, new_name in zip(old.places, old.files, new.files, strict=True):
            yield from _compare_members(place, before, old_name, after, new_name, tolerance)


class _Schema:
    """What an archive of skops's says of its model, with names that mean the same in another."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.files: list[str] = []
        """Names of members, in the order in which the schema names them."""
        self.places: list[str] = []
        """What each of them is: `coef_`."""
        self._ids: dict[object, int] = {}
        try:
            if archive.getinfo(SCHEMA).file_size > _MAX_SCHEMA_BYTES:
                raise UnreadableError("schema too large")
            self.content = self._plain(json.loads(archive.read(SCHEMA)), "")
        except (KeyError, ValueError, RecursionError) as error:
            raise UnreadableError(str(error)) from error

    def _plain(self, node: object, place: str) -> object:
        """Replace addresses by the order in which they appear."""
        if isinstance(node, list):
            return [self._plain(each, f"{place}[{i}]") for i, each in enumerate(node)]
        if not isinstance(node, dict):
            return node
        plain: dict[str, object] = {}
        known = self._ids.setdefault(node.get(_ID), len(self._ids))
        for key, value in node.items():
            if key == _ID:
                if node.get("__loader__") == _CACHED:
                    plain[key] = known
            elif key == _FILE and isinstance(value, str):
                self.files.append(value)
                self.places.append(place or "model")
                plain[key] = value.rpartition(".")[2]
            else:
                inner = f"{place}.{key}".lstrip(".")
                plain[key] = self._plain(value, place if key == "content" else inner)
        return plain


def _compare_members(
    place: str,
    before: zipfile.ZipFile,
    old_name: str,
    after: zipfile.ZipFile,
    new_name: str,
    tolerance: Tolerance,
) -> Iterator[Difference]:
    try:
        if _has_same_bytes(before, old_name, after, new_name):
            return
        if old_name.endswith(".npy"):
            with before.open(old_name) as old, after.open(new_name) as new:
                yield from compare_arrays(f"{place} ", old, new, tolerance)
            return
    except KeyError as error:
        raise UnreadableError(str(error)) from error
    except UnknownArrayError:
        pass
    yield Difference(place, f"member {old_name}", "other bytes")


def _has_same_bytes(
    before: zipfile.ZipFile, old_name: str, after: zipfile.ZipFile, new_name: str
) -> bool:
    old_info, new_info = before.getinfo(old_name), after.getinfo(new_name)
    if (old_info.file_size, old_info.CRC) != (new_info.file_size, new_info.CRC):
        return False
    with before.open(old_info) as old, after.open(new_info) as new:
        while data := old.read(_CHUNK_BYTES):
            if data != new.read(len(data)):
                return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UnreadableError(str(error)) from error  # no archive, encrypted, or cut short
