"""Compares NumPy's files, without NumPy: their header is a text, their data plain numbers.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import ast
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flowrun.proof.verify.difference import (
    Difference,
    is_ignored,
    is_same_number,
    number_difference,
)
from flowrun.spec.project import Tolerance
from flowrun.valueclass import valueclass

_MAGIC = b"\x93NUMPY"
_CODES = {
    "f2": "e", "f4": "f", "f8": "d", "b1": "?",
    "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip
_CHUNK_ITEMS = 1 << 16


class UnknownArrayError(Exception):
    """No array of numbers, or none at all: it is compared byte by byte."""


@valueclass
class _Header:
    dtype: str
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def code(self) -> str:
        """What `struct` calls one number."""
        order = {"<": "<", ">": ">", "|": "<", "=": "="}.get(self.dtype[:1])
        code = _CODES.get(self.dtype[1:])
        if order is None or code is None:
            raise UnknownArrayError(f"dtype {self.dtype}")
        return order + code

    def index(self, place: int) -> str:
        """Give the index of the n-th number in the file."""
        found: list[int] = []
        for size in self.shape if self.is_fortran else reversed(self.shape):
            place, rest = divmod(place, size)
            found.append(rest)
        return f"[{', '.join(map(str, found if self.is_fortran else reversed(found)))}]"


def compare_npy(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two arrays; places are `[0, 3]`."""
    with recorded.open("rb") as before, found.open("rb") as after:
        yield from compare_arrays("", before, after, tolerance)


def compare_npz(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare the arrays of two archives by name; when they were written does not matter."""
    try:
        with zipfile.ZipFile(recorded) as before, zipfile.ZipFile(found) as after:
            for name in dict.fromkeys([*before.namelist(), *after.namelist()]):
                array = name.removesuffix(".npy")
                if is_ignored(array, tolerance.ignore):
                    continue
                in_both = [name in archive.namelist() for archive in (before, after)]
                if not all(in_both):
                    was, now = ("there" if each else "not there" for each in in_both)
                    yield Difference(f"array '{array}'", was, now)
                    continue
                with before.open(name) as old, after.open(name) as new:
                    yield from compare_arrays(f"array '{array}' ", old, new, tolerance)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UnknownArrayError(str(error)) from error


def compare_arrays(
    name: str, before: IO[bytes], after: IO[bytes], tolerance: Tolerance
) -> Iterator[Difference]:
    """Compare two arrays as NumPy writes them; `name` goes before their indices."""
    old, new = _header(before), _header(after)
    if old.shape != new.shape:
        yield Difference(f"{name}shape", str(old.shape), str(new.shape))
        return
    if old.dtype != new.dtype:
        yield Difference(f"{name}dtype", old.dtype, new.dtype)
        return
    if old.is_fortran != new.is_fortran:
        yield Difference(f"{name}order", _order(old), _order(new))
        return
    size = struct.calcsize(old.code)
    left = math.prod(old.shape)
    place = 0
    while left > 0:
        wanted = min(left, _CHUNK_ITEMS)
        was, now = _exactly(before, wanted * size), _exactly(after, wanted * size)
        if was != now:
            pairs = zip(
                struct.iter_unpack(old.code, was), struct.iter_unpack(new.code, now), strict=True
            )
            for offset, ((a,), (b,)) in enumerate(pairs):
                if not is_same_number(a, b, tolerance):
                    yield number_difference(f"{name}{old.index(place + offset)}", a, b)
        place += wanted
        left -= wanted


def _header(file: IO[bytes]) -> _Header:
    start = file.read(8)
    if len(start) != 8 or not start.startswith(_MAGIC):
        raise UnknownArrayError("no array")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(_exactly(file, width), "little")
    if length > 1 << 20:
        raise UnknownArrayError("header too long")
    try:
        found = ast.literal_eval(_exactly(file, length).decode("utf-8"))
        header = _Header(
            str(found["descr"]), tuple(map(int, found["shape"])), bool(found["fortran_order"])
        )
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError) as error:
        raise UnknownArrayError(f"header: {error}") from error
    if any(size < 0 for size in header.shape):
        raise UnknownArrayError("shape")
    _ = header.code
    return header


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise UnknownArrayError("cut short")
    return data


def _order(header: _Header) -> str:
    return "Fortran" if header.is_fortran else "C"
