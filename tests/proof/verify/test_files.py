"""Two contents compared: what counts as the same, and where a difference is said to lie."""

from __future__ import annotations

import importlib
import json
import math
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from flowrun.proof.verify.difference import MAX_SHOWN, is_same_number
from flowrun.proof.verify.files import Compared, compare_paths
from flowrun.spec.project import EXACT, Tolerance

LENIENT = Tolerance(rtol=0.01, atol=0.001)


def _npy(
    values: list[float], shape: tuple[int, ...], dtype: str = "<f8", order: str = "C"
) -> bytes:
    header = repr({"descr": dtype, "fortran_order": order == "F", "shape": shape}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    code = {"<f8": "<d", "<i4": "<i", ">f4": ">f"}[dtype]
    data = b"".join(struct.pack(code, value) for value in values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def _mlmodel(**changed: object) -> str:
    return json.dumps(  # JSON is YAML
        {
            "flavors": {"python_function": {"loader_module": "a"}},
            "model_uuid": "1",
            "utc_time_created": "2026-01-01 00:00:00",
            "run_id": "2",
            "model_id": "m-3",
            "artifact_path": "mlflow-artifacts:/4",
            "mlflow_version": "3.17",
            **changed,
        }
    )


def _compared(
    tmp_path: Path,
    name: str,
    old: str | bytes,
    new: str | bytes,
    tolerance: Tolerance = EXACT,
) -> Compared:
    for folder, content in (("old", old), ("new", new)):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return compare_paths("output", tmp_path / "old" / name, tmp_path / "new" / name, tolerance)


def _places(compared: Compared) -> list[str]:
    return [each.place.removeprefix("output, ") for each in compared.differences.shown]


DIFFERENT: dict[str, tuple[str, str | bytes, str | bytes, list[str]]] = {
    "json number": ("a.json", '{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3]}}', ["a.b[1]"]),
    "json key": ("a.json", '{"a": 1}', '{"b": 1}', ["a", "b"]),
    "json length": ("a.json", "[1, 2]", "[1]", ["list"]),
    "json type": ("a.json", '{"a": 1}', '{"a": "1"}', ["a"]),
    "json true is not 1": ("a.json", "[true]", "[1]", ["[0]"]),
    "json large whole numbers": ("a.json", f"[{2**60}]", f"[{2**60 + 1}]", ["[0]"]),
    "json spaces": ("a.json", "[1]", "[ 1 ]", ["same values, other bytes"]),
    "json lines": ("a.jsonl", '{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a": 3}\n', ["line 2, a"]),
    "json lines, fewer": ("a.jsonl", "1\n2\n", "1\n", ["line 2"]),
    "csv cell": ("a.csv", "x,y\n1,2\n3,4\n", "x,y\n1,2\n3,5\n", ["row 2, column 'y'"]),
    "csv header": ("a.csv", "x,y\n", "x,z\n", ["column 2"]),
    "csv fewer rows": ("a.csv", "x\n1\n2\n", "x\n1\n", ["row 2"]),
    "csv fewer columns": ("a.csv", "x,y\n1,2\n", "x,y\n1\n", ["row 1, column 'y'"]),
    "csv quoted line break": ("a.csv", 'x\n"a\nb"\n', 'x\n"a\nc"\n', ["row 1, column 'x'"]),
    "tsv": ("a.tsv", "x\ty\n1\t2\n", "x\ty\n1\t3\n", ["row 1, column 'y'"]),
    "npy": (
        "a.npy",
        _npy([1, 2, 3, 4, 5, 6], (2, 3)),
        _npy([1, 2, 3, 4, 9, 6], (2, 3)),
        ["[1, 1]"],
    ),
    "npy, Fortran's order": (
        "a.npy",
        _npy([1, 2, 3, 4, 5, 6], (2, 3), order="F"),
        _npy([1, 2, 3, 4, 9, 6], (2, 3), order="F"),
        ["[0, 2]"],
    ),
    "npy, big end first": ("a.npy", _npy([1, 2], (2,), ">f4"), _npy([1, 3], (2,), ">f4"), ["[1]"]),
    "npy shape": ("a.npy", _npy([1, 2], (2,)), _npy([1, 2], (1, 2)), ["shape"]),
    "npy dtype": ("a.npy", _npy([1, 2], (2,)), _npy([1, 2], (2,), "<i4"), ["dtype"]),
    "text": ("a.txt", "one\ntwo\n", "one\nthree\n", ["line 2"]),
    "text, line ends": ("a.txt", "one\n", "one\r\n", ["line 1"]),
    "text, cut": ("a.txt", "one\ntwo\n", "one\n", ["line 2"]),
    "bytes": ("a.bin", b"ab\xff\x00c", b"ab\xff\x01c", ["byte 3"]),
    "json that is none": ("a.json", "{", "[", ["line 1"]),
    "csv that is no text": ("a.csv", b"x\n\xff\n", b"x\n\xfe\n", ["byte 2"]),
    "npy that is none": ("a.npy", b"\x93NUMPY no", b"\x93NUMPY ha", ["byte 7"]),
    "mlmodel": ("MLmodel", _mlmodel(), _mlmodel(mlflow_version="3.18"), ["mlflow_version"]),
}


@pytest.mark.parametrize(("name", "old", "new", "places"), DIFFERENT.values(), ids=DIFFERENT)
def test_difference_is_told_where_it_lies(
    tmp_path: Path, name: str, old: str | bytes, new: str | bytes, places: list[str]
) -> None:
    assert _places(_compared(tmp_path, name, old, new)) == places
    assert _places(_compared(tmp_path, name, old, old)) == []


SAME: dict[str, tuple[str, str | bytes, str | bytes, Tolerance]] = {
    "json number": ("a.json", '{"a": 1.0}', '{"a": 1.009}', LENIENT),
    "json whole number": ("a.json", '{"a": 1000}', '{"a": 1001}', LENIENT),
    "json spaces, if numbers may differ": ("a.json", "[1]", "[ 1 ]", LENIENT),
    "json key": ("a.json", '{"a": {"b": 1}}', '{"a": {"b": 2}}', Tolerance(ignore=("#a.b",))),
    "json key of this file": ("a.json", '{"a": 1}', '{"a": 2}', Tolerance(ignore=("a.json#a",))),
    "json keys by pattern": ("a.json", '{"t_1": 1}', '{"t_1": 2}', Tolerance(ignore=("#t_*",))),
    "json key that is new": ("a.json", "{}", '{"a": 2}', Tolerance(ignore=("#a",))),
    "json nan": ("a.json", '{"a": NaN, "b": 1}', '{"a": NaN, "b": 1.001}', LENIENT),
    "csv cell": ("a.csv", "x\n1.0\n", "x\n1.0001\n", LENIENT),
    "csv column": ("a.csv", "x,when\n1,a\n", "x,when\n1,b\n", Tolerance(ignore=("#when",))),
    "npy": ("a.npy", _npy([1, math.nan], (2,)), _npy([1.001, math.nan], (2,)), LENIENT),
    "mlmodel's times and ids": (
        "MLmodel",
        _mlmodel(),
        _mlmodel(
            run_id="9", model_id="m-9", model_uuid="9", utc_time_created="9", artifact_path="9"
        ),
        EXACT,
    ),
}


@pytest.mark.parametrize(("name", "old", "new", "tolerance"), SAME.values(), ids=SAME)
def test_difference_within_the_tolerance_is_none(
    tmp_path: Path, name: str, old: str | bytes, new: str | bytes, tolerance: Tolerance
) -> None:
    assert _places(_compared(tmp_path, name, old, new, tolerance)) == []


def test_arrays_of_an_archive_are_compared_by_name_and_not_by_their_times(tmp_path: Path) -> None:
    for folder, year, value in (("old", 2020, 1.0), ("new", 2021, 2.0)):
        (tmp_path / folder).mkdir()
        with zipfile.ZipFile(tmp_path / folder / "a.npz", "w") as archive:
            for name, number in (("same", 1.0), ("other", value)):
                info = zipfile.ZipInfo(f"{name}.npy", (year, 1, 1, 0, 0, 0))
                archive.writestr(info, _npy([number], (1,)))
    found = compare_paths("output", tmp_path / "old/a.npz", tmp_path / "new/a.npz", EXACT)
    assert _places(found) == ["array 'other' [0]"]
    assert found.differences.largest == 1.0


def test_files_of_a_directory_are_compared_by_name(tmp_path: Path) -> None:
    for folder, files in (("old", {"a": "1", "b/c.log": "1"}), ("new", {"b/c.log": "2", "d": ""})):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    found = compare_paths(
        "output", tmp_path / "old", tmp_path / "new", Tolerance(ignore=("*.log",))
    )
    assert _places(found) == ["file a", "file d"]
    exact = compare_paths("output", tmp_path / "old", tmp_path / "new", EXACT)
    assert _places(exact) == ["file a", "file b/c.log, line 1", "file d"]
    kinds = compare_paths("output", tmp_path / "old", tmp_path / "old/a", EXACT)
    assert [str(each) for each in kinds.differences.shown] == ["output: was a directory, is a file"]


def test_many_differences_are_counted_and_the_largest_is_known(tmp_path: Path) -> None:
    old = json.dumps([0] * 100)
    new = json.dumps(list(range(1, 101)))
    found = _compared(tmp_path, "a.json", old, new).differences
    assert (found.count, len(found.shown), found.largest) == (100, MAX_SHOWN, 100)


def test_tolerance_that_can_not_be_applied_is_said_so(tmp_path: Path) -> None:
    unknown = _compared(tmp_path, "a.txt", "1.0", "1.001", LENIENT)
    assert unknown.notes == ["output: its format is not known, so it is compared by bytes"]
    unreadable = _compared(tmp_path, "b.json", "{", "[", LENIENT)
    assert "can't be read by its format" in unreadable.notes[0]


def test_data_nested_deeply_ends_well(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert _compared(tmp_path, "a.json", deep, deep.replace("[]", "[1]")).differences.count == 1


@given(
    st.floats(), st.floats(), st.floats(0, 10, allow_nan=False), st.floats(0, 10, allow_nan=False)
)
def test_numbers_are_the_same_as_the_reference_says(
    old: float, new: float, rtol: float, atol: float
) -> None:
    same = is_same_number(old, new, Tolerance(rtol, atol))
    assert is_same_number(old, old, EXACT)
    if math.isfinite(old) and math.isfinite(new):
        assert same == (abs(old - new) <= atol + rtol * abs(old))
    else:
        assert same == (old == new or (math.isnan(old) and math.isnan(new)))


DTYPES = ["float16", "float32", "float64", "int8", "int64", "uint16", "uint64", "bool"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_that_numpy_writes_are_understood(tmp_path: Path, dtype: str, order: str) -> None:
    old = numpy.zeros((2, 3, 4), dtype=dtype, order="F" if order == "F" else "C")
    new = old.copy(order="K")
    new[1, 0, 2] = 1
    numpy.save(tmp_path / "old.npy", old)
    numpy.save(tmp_path / "new.npy", new)
    found = compare_paths("output", tmp_path / "old.npy", tmp_path / "new.npy", EXACT)
    assert [each.place for each in found.differences.shown] == ["output, [1, 0, 2]"]


def test_array_of_objects_is_compared_by_bytes_and_never_unpickled(tmp_path: Path) -> None:
    for name, value in (("old", "a"), ("new", "b")):
        numpy.save(tmp_path / f"{name}.npy", numpy.array([value, None], dtype=object))
    found = compare_paths("output", tmp_path / "old.npy", tmp_path / "new.npy", EXACT)
    assert found.differences.count == 1
    assert "compared by bytes" in found.notes[0]


def _parquet(path: Path, columns: dict[str, list[object]]) -> Path:
    pyarrow = importlib.import_module("pyarrow")
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.table(columns), path)
    return path


def test_parquet_is_compared_by_row_and_column(tmp_path: Path) -> None:
    old = _parquet(tmp_path / "old.parquet", {"x": [1.0, 2.0], "when": ["a", "b"]})
    new = _parquet(tmp_path / "new.parquet", {"x": [1.0, 2.01], "when": ["a", "c"]})
    assert _places(compare_paths("output", old, new, EXACT)) == [
        "row 2, column 'x'",
        "row 2, column 'when'",
    ]
    lenient = Tolerance(rtol=0.1, ignore=("#when",))
    assert _places(compare_paths("output", old, new, lenient)) == []
    shorter = _parquet(tmp_path / "shorter.parquet", {"x": [1.0]})
    assert _places(compare_paths("output", old, shorter, EXACT)) == ["rows"]


@pytest.mark.parametrize("text", [b"", b"PAR1 and no more", b"PAR1" * 8])
def test_parquet_that_is_damaged_is_compared_by_bytes_and_said_so(
    tmp_path: Path, text: bytes
) -> None:
    old = _parquet(tmp_path / "old.parquet", {"x": [1.0]})
    new = tmp_path / "new.parquet"
    new.write_bytes(text)
    found = compare_paths("output", old, new, LENIENT)
    assert found.differences.count == 1
    assert "can't be read by its format" in found.notes[0]


def test_parquet_without_pyarrow_is_compared_by_bytes_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _parquet(tmp_path / "old.parquet", {"x": [1.0]})
    new = _parquet(tmp_path / "new.parquet", {"x": [1.001]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = compare_paths("output", old, new, LENIENT)
    assert found.differences.count == 1
    assert found.notes == ["output: pyarrow is not installed, so Parquet is compared by bytes"]


def _fitted(weight: float, **settings: object) -> bytes:
    model = Ridge(**settings).fit([[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]], [0.0, weight, 2.0])
    return bytes(importlib.import_module("skops.io").dumps(model))


def test_models_of_skops_are_compared_by_what_they_are_and_not_by_addresses_and_times(
    tmp_path: Path,
) -> None:
    # another process: other addresses, another second
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, skops.io as s; from sklearn.linear_model import Ridge;"
            "m = Ridge().fit([[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]], [0.0, 1.0, 2.0]);"
            "sys.stdout.buffer.write(s.dumps(m))",
        ],
        capture_output=True,
        check=True,
    ).stdout
    old = _fitted(1.0)
    assert old != made
    assert _places(_compared(tmp_path, "m.skops", old, made)) == []
    weights = _compared(tmp_path, "m.skops", old, _fitted(1.5)).differences
    assert [each.place for each in weights.shown] == [
        "output, coef_ [0]",
        "output, coef_ [1]",
        "output, intercept_ []",
    ]
    near = _compared(tmp_path, "m.skops", old, _fitted(1.0000001), Tolerance(rtol=1e-3, atol=1e-3))
    assert _places(near) == []
    assert _places(_compared(tmp_path, "m.skops", old, _fitted(1.0, alpha=2.0))) == ["alpha"]
    broken = _compared(tmp_path, "m.skops", old, b"no archive")
    assert broken.differences.count == 1


def test_members_of_an_archive_are_compared_by_name_and_not_by_their_times(tmp_path: Path) -> None:
    for folder, year, text in (("old", 2020, "a"), ("same", 2021, "a"), ("other", 2022, "b")):
        (tmp_path / folder).mkdir()
        with zipfile.ZipFile(tmp_path / folder / "a.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("in/x.txt", (year, 1, 1, 0, 0, 0)), text)
    old = tmp_path / "old/a.zip"
    assert _places(compare_paths("output", old, tmp_path / "same/a.zip", EXACT)) == []
    other = compare_paths("output", old, tmp_path / "other/a.zip", EXACT)
    assert _places(other) == ["member 'in/x.txt'"]
