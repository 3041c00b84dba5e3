"""Finding and reading the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.errors import SpecError
from flowrun.spec.load import MAX_BYTES, find_project_file, load_project

NAMES = {
    "exact": (["MLproject", "readme"], "MLproject"),
    "any case": (["mlPROJECT"], "mlPROJECT"),
    "the usual spelling wins": (["MLPROJECT", "MLproject", "mlproject"], "MLproject"),
    "else the first by name": (["mlproject", "MLPROJECT"], "MLPROJECT"),
    "no extension": (["MLproject.yaml"], None),
    "none": ([], None),
}


@pytest.mark.parametrize(("files", "found"), NAMES.values(), ids=NAMES.keys())
def test_finds_the_file(tmp_path: Path, files: list[str], found: str | None) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    path = find_project_file(tmp_path)
    assert (path.name if path else None) == found


def test_a_directory_is_no_project_file(tmp_path: Path) -> None:
    (tmp_path / "MLproject").mkdir()
    assert find_project_file(tmp_path) is None


def test_a_directory_without_the_file_has_no_entry_points(tmp_path: Path) -> None:
    project = load_project(tmp_path)
    assert (project.file, dict(project.entry_points)) == (None, {})


def test_messages_name_the_file_as_it_is_spelt(tmp_path: Path) -> None:
    (tmp_path / "mlproject").write_text("a: b: c")
    with pytest.raises(SpecError, match=r"^mlproject:1:5: "):
        load_project(tmp_path)


def test_messages_name_the_file_as_asked(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("a: b: c")
    with pytest.raises(SpecError, match=r"^other:1:5: "):
        load_project(tmp_path, label="other")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"\xef\xbb\xbfname: x")
    assert load_project(tmp_path).name == "x"


def test_what_is_not_utf_8_is_told_in_place(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"a: b\nname: \xff\n")
    with pytest.raises(SpecError) as caught:
        load_project(tmp_path)
    assert str(caught.value) == "MLproject:2:7: the byte 0xff is not UTF-8"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(SpecError) as caught:
        load_project(tmp_path)
    assert str(caught.value) == "MLproject:1:1: the file is larger than 8,388,608 bytes"
