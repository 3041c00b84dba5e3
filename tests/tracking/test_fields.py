from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from flowrun.errors import InvalidValueError
from flowrun.tracking.fields import Fields

SEE = " See the API docs for more information about request parameters."

REFUSALS: dict[str, tuple[dict[str, object], Callable[[Fields], object], str]] = {
    "missing text": (
        {},
        lambda fields: fields.text("name"),
        f"Missing value for required parameter 'name'.{SEE}",
    ),
    "empty text": (
        {"name": ""},
        lambda fields: fields.text("name"),
        f"Missing value for required parameter 'name'.{SEE}",
    ),
    "null": (
        {"name": None},
        lambda fields: fields.text("name"),
        f"Missing value for required parameter 'name'.{SEE}",
    ),
    "number for a text": (
        {"experiment_id": 1},
        lambda fields: fields.text("experiment_id"),
        "Invalid value 1 for parameter 'experiment_id' supplied:  "
        f"Hint: Value was of type 'int'.{SEE}",
    ),
    "text for a number": (
        {"value": "abc"},
        lambda fields: fields.number("value"),
        "Invalid value \"abc\" for parameter 'value' supplied:  "
        f"Hint: Value was of type 'str'.{SEE}",
    ),
    "boolean for an integer": (
        {"step": True},
        lambda fields: fields.integer("step"),
        f"Invalid value true for parameter 'step' supplied:  Hint: Value was of type 'bool'.{SEE}",
    ),
    "fraction for an integer": (
        {"step": 1.5},
        lambda fields: fields.integer("step"),
        f"Invalid value 1.5 for parameter 'step' supplied:  Hint: Value was of type 'float'.{SEE}",
    ),
    "more than 64 bits": (
        {"step": 2**63},
        lambda fields: fields.integer("step"),
        "Invalid value 9223372036854775808 for parameter 'step' supplied:  "
        f"Hint: Value was of type 'int'.{SEE}",
    ),
    "text for a list": (
        {"order_by": "name"},
        lambda fields: fields.texts("order_by"),
        "Invalid value \"name\" for parameter 'order_by' supplied:  "
        f"Hint: Value was of type 'str'.{SEE}",
    ),
    "list of numbers for texts": (
        {"ids": [1]},
        lambda fields: fields.texts("ids"),
        f"Invalid value [1] for parameter 'ids' supplied:  Hint: Value was of type 'list'.{SEE}",
    ),
    "field of an item": (
        {"metrics": [{"key": "a"}, {"value": 1}]},
        lambda fields: [item.text("key") for item in fields.objects("metrics")],
        f"Missing value for required parameter 'metrics[1].key'.{SEE}",
    ),
    "lone surrogate": (
        {"name": "\ud800"},
        lambda fields: fields.text("name"),
        "Invalid value \"\\ud800\" for parameter 'name' supplied:  "
        f"Hint: Value was of type 'str'.{SEE}",
    ),
    "NUL": (
        {"names": ["a", "b\0"]},
        lambda fields: fields.texts("names"),
        'Invalid value ["a","b\\u0000"] for parameter \'names\' supplied:  '
        f"Hint: Value was of type 'list'.{SEE}",
    ),
    "text for a flag": (
        {"archive": "yes"},
        lambda fields: fields.flag("archive"),
        "Invalid value \"yes\" for parameter 'archive' supplied:  "
        f"Hint: Value was of type 'str'.{SEE}",
    ),
}


@pytest.mark.parametrize(("values", "read", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_field_that_does_not_fit_is_refused_in_mlflows_words(
    values: dict[str, object], read: Callable[[Fields], object], message: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read(Fields(values))
    assert str(caught.value) == message


def test_numbers_may_come_as_texts() -> None:
    fields = Fields({"step": "7", "value": "0.5", "whole": 3.0})
    assert (fields.integer("step"), fields.number("value"), fields.integer("whole")) == (7, 0.5, 3)


def test_nan_and_infinities_come_as_texts() -> None:
    fields = Fields({"a": "NaN", "b": "Infinity", "c": "-Infinity"})
    assert math.isnan(fields.number("a"))
    assert (fields.number("b"), fields.number("c")) == (math.inf, -math.inf)


def test_the_last_of_two_pairs_with_one_key_counts() -> None:
    pairs = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}, {"key": "b"}]
    assert Fields({"tags": pairs}).pairs("tags") == {"a": "2", "b": ""}


def test_an_older_name_of_a_field_is_read_too() -> None:
    assert Fields({"run_uuid": "r1"}).text("run_id", alias="run_uuid") == "r1"


def test_a_query_gives_flags_and_lists_as_texts() -> None:
    fields = Fields({"stages": "None", "ids": ["1", "2"], "deep": "true"}, is_query=True)
    assert fields.texts("stages") == ["None"]
    assert fields.texts("ids") == ["1", "2"]
    assert fields.flag("deep")


def test_a_query_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(InvalidValueError) as caught:
        Fields({"deep": "1"}, is_query=True).flag("deep")
    assert str(caught.value) == "Invalid boolean value: 1, must be 'true' or 'false'."
