"""YAML written and read with the standard library, beside PyYAML."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.models.block_yaml import NotBlockYamlError, parse
from flowrun.models.block_yaml_writing import dump

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
).filter(lambda value: isinstance(value, (list, dict)) and bool(value))
YAMLISH = st.text(alphabet="ab:- '\"\n#1.{}[]?&*!|>~\\,0ex", max_size=40)


@given(VALUES)
def test_what_is_written_is_read_alike_by_both(value: object) -> None:
    text = dump(value)
    assert parse(text) == value
    assert yaml.safe_load(text) == value


@given(VALUES)
def test_what_pyyaml_writes_is_read_alike_or_refused(value: object) -> None:
    text = yaml.safe_dump(value, default_flow_style=False)
    try:
        found = parse(text)
    except NotBlockYamlError:
        return
    assert found == value


@settings(max_examples=500)
@given(YAMLISH)
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(text: str) -> None:
    try:
        expected = yaml.safe_load(text)
        found = parse(text)
    except (NotBlockYamlError, yaml.YAMLError, ValueError):
        return
    assert found == expected


def test_a_signature_that_is_folded_over_lines_is_read() -> None:
    names = [f"it's column: number {n} # of many" for n in range(30)]
    said = {"signature": {"inputs": str(names), "params": None}, "size": 1.5e20, "nan": math.inf}
    assert parse(yaml.safe_dump(said, default_flow_style=False)) == said


STRANGE = {
    "anchors": "a: &x 1\nb: *x\n",
    "tags": "a: !!python/name:os.system ''\n",
    "flow": "a: {b: c}\n",
    "literal": "a: |\n  text\n",
    "tabs": "a:\n\tb: 1\n",
    "a key twice": "a: 1\na: 2\n",
    "open quote": "a: 'b\n",
    "sexagesimal": "a: 12:30:45\n",
    "octal": "a: 0o17\n",
    "one scalar": "hello\n",
    "much nesting": "".join("  " * n + "a:\n" for n in range(200)),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_what_is_not_known_for_sure_is_refused(text: str) -> None:
    with pytest.raises(NotBlockYamlError):
        parse(text)
