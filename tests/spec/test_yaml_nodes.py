"""YAML: hostile files are refused early, values are what MLflow sees."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowrun.errors import SpecError
from flowrun.spec.problems import Problems
from flowrun.spec.project import Plain
from flowrun.spec.yaml_nodes import MapNode, plain, read_yaml

REFUSED = {
    "no yaml": (
        "a: b: c",
        "F:1:5: this is not YAML: mapping values are not allowed in this context",
    ),
    "python object": (
        "a: !!python/object/apply:os.system [ls]",
        "F:1:4: the YAML tag !!python/object/apply:os.system is not allowed in a project file",
    ),
    "python scalar": (
        "a: !!python/name:os.system x",
        "F:1:4: the YAML tag !!python/name:os.system is not allowed in a project file",
    ),
    "binary": ("a: !!binary aGk=", "F:1:4: the YAML tag !!binary is not allowed in a project file"),
    "own tag": ("a: !env HOME", "F:1:4: the YAML tag !env is not allowed in a project file"),
    "set": ("a: !!set {b}", "F:1:4: the YAML tag !!set is not allowed in a project file"),
    "two documents": ("a: 1\n---\nb: 2", "F:2:1: a project file is one YAML document, not two"),
    "control character": (
        "a: b\nc: \x00",
        "F:2:4: the character U+0000 is not allowed in a YAML file",
    ),
    "key that is a map": ("{a: b}: c", "F:1:1: a key must be a single word"),
    "impossible date": (
        "a: 2020-13-45",
        "F:1:4: '2020-13-45' is no timestamp: month must be in 1..12",
    ),
    "unknown alias": ("a: *b", "F:1:4: the alias *b has no anchor before it"),
    "alias in itself": ("a: &b [*b]", "F:1:8: the alias *b contains itself"),
    "deep lists": ("a: " + "[" * 41 + "]" * 41, "F:1:43: nested more than 40 levels deep"),
    "very deep lists": ("[" * 100_000, "F:1:41: nested more than 40 levels deep"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_project_file_has_no_use_for_is_refused_in_place(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "F", Problems())
    assert str(caught.value) == message


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(
        SpecError, match="aliases stand for more than 10,000 values: write them out"
    ):
        read_yaml("\n".join(lines), "F", Problems())


def test_merges_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: x" for n in range(100)) + "}"]
    lines += [f"a{n}: {{<<: *a0}}" for n in range(1, 200)]
    with pytest.raises(SpecError, match="aliases stand for more than 10,000 values"):
        read_yaml("\n".join(lines), "F", Problems())


def test_every_duplicate_key_is_told_with_the_line_of_the_first() -> None:
    problems = Problems()
    read_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n", "F", problems)
    with pytest.raises(SpecError) as caught:
        problems.raise_if_any()
    assert str(caught.value) == (
        "F:2:11: 'c' is already there, in line 2\nF:3:1: 'a' is already there, in line 1"
    )


MERGES = {
    "own key before": "base: &b {x: 1, y: 2}\nto: {x: 9, <<: *b}",
    "own key after": "base: &b {x: 1, y: 2}\nto: {<<: *b, x: 9}",
    "list, first wins": "p: &p {x: 1}\nq: &q {x: 2, y: 3}\nto: {<<: [*p, *q]}",
    "plain alias": "p: &p [1, 2]\nto: *p",
}


@pytest.mark.parametrize("text", MERGES.values(), ids=MERGES.keys())
def test_merge_keys_and_aliases_mean_what_they_mean_in_yaml(text: str) -> None:
    assert _plain(text) == yaml.safe_load(text)


def test_lines_and_columns_count_from_one() -> None:
    root = read_yaml("a:\n  b: [1, 2]\n", "F", Problems())
    assert isinstance(root, MapNode)
    inner = root.entries["a"].node
    assert isinstance(inner, MapNode)
    assert (str(root.entries["a"].mark), str(inner.entries["b"].mark)) == ("F:1:1", "F:2:3")
    assert str(inner.entries["b"].node.mark) == "F:2:6"


SCALARS = [
    *("true", "no", "On", "~", "null", "1", "-1", "0x1F", "010", "1_000", "1.50", "1e3"),
    *("1.0e+3", ".inf", "-.Inf", ".nan", "1:30", "'1'", '"true"', "text", "2020-01-01"),
    *("1.2.3", "0.10", "12e03", "!!str 5", "''", "!!float 5", "", "2020-01-01 10:00:00"),
]


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_is_what_mlflow_would_make_text_of(text: str) -> None:
    expected = yaml.safe_load(f"a: {text}")["a"]
    found = _plain(f"a: {text}")
    assert isinstance(found, dict)
    value = found["a"]
    if isinstance(expected, float) and math.isnan(expected):
        assert isinstance(value, float)
        assert math.isnan(value)
    else:
        assert str(value) == str(expected)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(min_size=1).filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_values)
def test_reads_back_what_yaml_writes(value: Plain) -> None:
    assert _plain(yaml.safe_dump(value)) == value


def _plain(text: str) -> Plain:
    problems = Problems()
    root = read_yaml(text, "F", problems)
    problems.raise_if_any()
    return plain(root) if root else None
