from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flowrun.engine.steps.outputs import OutputError, read_metrics, read_values

VALUES = {
    "plain": ("n=3\n", {"n": "3"}),
    "the later one wins": ("n=3\nn=4\n", {"n": "4"}),
    "an equals sign in the value": ("url=a=b\n", {"url": "a=b"}),
    "empty": ("n=\n\n", {"n": ""}),
    "as set_output writes two lines": ('text="a\\nb"\n', {"text": "a\nb"}),
    "a quote that is no JSON": ('text="a\n', {"text": '"a'}),
    "line ends that are none": ("a=x\x0cy\u2028z\r\n", {"a": "x\x0cy\u2028z"}),
    "no last line end": ("a=1\nb=2", {"a": "1", "b": "2"}),
}


@pytest.mark.parametrize(("text", "expected"), VALUES.values(), ids=VALUES.keys())
def test_values_are_read(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    path = tmp_path / "output"
    path.write_text(text)
    assert read_values(path) == expected


def test_no_file_means_no_values(tmp_path: Path) -> None:
    assert read_values(tmp_path / "output") == {}


WRONG_VALUES = {
    "no equals sign": ("hello\n", "$FLOWRUN_OUTPUT, line 1: 'hello' is not of the form name=value"),
    "a NUL": ("a=1\nb=x\0y\n", "$FLOWRUN_OUTPUT, line 2 holds a NUL byte"),
    "no name": ("a=1\n=2\n", "$FLOWRUN_OUTPUT, line 2: '=2' is not of the form name=value"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_malformed_values_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "output"
    path.write_text(text)
    with pytest.raises(OutputError) as caught:
        read_values(path)
    assert str(caught.value) == message


def test_metrics_are_flattened(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"rmse": 0.5, "rows": {"train": 3, "test": {"a": true}}}')
    assert read_metrics(tmp_path, "m.json") == {"rmse": 0.5, "rows.train": 3, "rows.test.a": 1}


def test_null_and_nan_are_nan(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"a": null, "b": NaN}')
    assert all(math.isnan(value) for value in read_metrics(tmp_path, "m.json").values())


def test_a_number_that_no_float_holds_is_infinite(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(f'{{"a": {"9" * 400}, "b": -{"9" * 400}, "c": 1e999}}')
    assert read_metrics(tmp_path, "m.json") == {"a": math.inf, "b": -math.inf, "c": math.inf}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_a_metrics_file_must_be_a_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "m.json")
    with pytest.raises(OutputError) as caught:
        read_metrics(tmp_path, "m.json")
    assert str(caught.value) == "metrics file 'm.json' is no file"


WRONG_METRICS = {
    "not JSON": (
        "{a",
        "metrics file 'm.json' is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
    ),
    "deep": ("[" * 100_000, "metrics file 'm.json' is nested too deeply"),
    "a list": ("[1]", "metrics file 'm.json' must hold an object of numbers"),
    "a text": ('{"a": {"b": "x"}}', "metrics file 'm.json': 'a.b' is \"x\", not a number"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_METRICS.values(), ids=WRONG_METRICS.keys())
def test_malformed_metrics_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(OutputError) as caught:
        read_metrics(tmp_path, "m.json")
    assert str(caught.value) == message
