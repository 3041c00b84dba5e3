"""What can't be evaluated is told: where, what was found, what to do."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowrun.errors import FlowrunError
from flowrun.models.evaluation.evaluate import evaluate

pandas = importlib.import_module("pandas")


def table(**columns: object) -> Any:  # noqa: ANN401 - of pandas
    return pandas.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1], **columns})


def same(frame: Any) -> Any:  # noqa: ANN401 - of pandas
    return frame["x"]


def needs_price(predictions: Any, targets: Any, price: Any) -> float:  # noqa: ANN401
    del predictions, targets, price
    return 0.0


CLASSES = {"model_type": "classifier", "targets": "y"}
NUMBERS = {"model_type": "regressor", "targets": "y"}
GIVEN = {"predictions": "p"}

REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "no data": ({"data": None, **CLASSES, **GIVEN}, "The data argument cannot be None."),
    "no rows": (
        {"data": table()[:0], **NUMBERS, "model": same},
        "the data has no rows: there is nothing to evaluate",
    ),
    "unknown type": (
        {"data": table(), "model": same, "model_type": "clasifier"},
        "model_type 'clasifier' is not known; there are classifier, regressor, ranking, retriever, "
        "text, question-answering, text-summarization",
    ),
    "no type and no metric": (
        {"data": table(), "model": same},
        "The extra_metrics argument must be specified model_type is None.",
    ),
    "no targets": (
        {"data": table(), "model": same, "model_type": "regressor"},
        "The targets argument must be specified for regressor models.",
    ),
    "neither model nor predictions": (
        {"data": table(), **NUMBERS},
        "Either a model or set of predictions must be specified: give the `model` parameter, or "
        "the column of the `predictions`.",
    ),
    "no such column": (
        {"data": table(), "model": same, "model_type": "regressor", "targets": "z"},
        "targets: the data has no column 'z'; it has x, y",
    ),
    "two columns of one name": (
        {"data": table()[["x", "y", "x"]], **NUMBERS, "model": same},
        "the data has two columns 'x'; rename one of them",
    ),
    "truth is missing": (
        {"data": table(y=[0, None, 1, None]), "model": same, **NUMBERS},
        "the target has 2 missing values in 4 rows (first in row 1): drop or fill them first",
    ),
    "predictions are missing": (
        {"data": table(p=[1, 0, math.nan, 1]), **NUMBERS, **GIVEN},
        "the model gave no value in 4 rows (first in row 2): drop or fill them first",
    ),
    "infinite": (
        {"data": table(p=[1, 0, math.inf, 1]), **NUMBERS, **GIVEN},
        "what the model predicts is infinite, first in row 2",
    ),
    "text for numbers": (
        {"data": table(p=list("abcd")), **NUMBERS, **GIVEN},
        "what the model predicts of a regressor must be numbers, but is ",
    ),
    "classes of two types": (
        {"data": table(p=["0", "1", "1", "0"]), **CLASSES, **GIVEN},
        "they can't be compared. Give one of them the type of the other.",
    ),
    "a regressor as a classifier": (
        {"data": table(p=[0.1, 0.7, 0.2, 0.9]), **CLASSES, **GIVEN},
        "the predictions are numbers between the classes (such as 0.1), not classes: is the model "
        "a regressor, or does it give probabilities?",
    ),
    "one class": (
        {"data": table(y=[1, 1, 1, 1], p=[1, 1, 1, 1]), **CLASSES, **GIVEN},
        "Evaluation dataset for classification must contain at least two unique labels, but only 1 "
        "unique labels were found.",
    ),
    "positive class that is none": (
        {
            "data": table(p=[0, 1, 1, 0]),
            **CLASSES,
            **GIVEN,
            "evaluator_config": {"pos_label": "yes"},
        },
        "'pos_label' yes must exist in 'label_list' [0, 1].",
    ),
    "too few predictions": (
        {"data": table(), "model": lambda _: [1, 2], **NUMBERS},
        "the model gave 2 predictions for 4 rows",
    ),
    "several outputs": (
        {"data": table(), "model": lambda frame: frame[["x", "x"]].set_axis(["a", "b"], axis=1)}
        | NUMBERS,
        "Please set the correct output column name using the `predictions` parameter: a, b",
    ),
    "no model": ({"data": table(), "model": 3, **NUMBERS}, "or None; it is a int"),
    "weights": (
        {
            "data": table(w=[1, -1, 1, 1]),
            "model": same,
            **NUMBERS,
            "evaluator_config": {"sample_weights": "w"},
        },
        "weights must be finite, none negative, and not all of them zero",
    ),
    "baseline that is none": (
        {"data": table(p=[1, 0, 1, 1]), **NUMBERS, **GIVEN, "baseline": "/no/such/model"},
        "the baseline can't be evaluated: /no/such/model is no model: no MLmodel file is there",
    ),
    "slice of no column": (
        {"data": table(p=[1, 0, 1, 1]), **NUMBERS, **GIVEN, "slices": ["town"]},
        "slices: the data has no column 'town'; it has x, y, p",
    ),
    "ranges of texts": (
        {
            "data": table(p=[1, 0, 1, 1], t=list("abcd")),
            **NUMBERS,
            **GIVEN,
            "slices": [{"by": "t", "bins": 2}],
        },
        "slice by 't': bins are ranges of numbers, but it is ",
    ),
    "ranking of no lists": (
        {"data": table(p=[1, 0, 1, 1]), "model_type": "ranking", "targets": "y", **GIVEN},
        "predictions of a ranking are lists, best first, but row 0 is 1; for rows with a score "
        "each, name the column of the query ('group')",
    ),
    "text that is none": (
        {"data": table(y=list("abcd"), p=["a", "b", 3, "d"]), "model_type": "text"}
        | {"targets": "y", **GIVEN},
        "predictions must be texts, but row 2 is 3",
    ),
    "metric that needs what is not there": (
        {"data": table(p=[1, 0, 1, 1]), **NUMBERS, **GIVEN, "extra_metrics": [needs_price]},
        "metric 'needs_price' needs 'price', which is neither a column of the data (x, y, p) nor "
        "set in evaluator_config",
    ),
    "metric that gives a text": (
        {
            "data": table(p=[1, 0, 1, 1]),
            **NUMBERS,
            **GIVEN,
            "extra_metrics": ["builtins:repr"],
        },
        "metric 'repr'",
    ),
    "metric that is nowhere": (
        {"data": table(), "model": same, **NUMBERS, "extra_metrics": ["json:lods"]},
        "'json:lods': json has no function 'lods' (it has: ",
    ),
    "another environment": (
        {"data": table(), "model": same, **NUMBERS, "env_manager": "virtualenv"},
        "env_manager 'virtualenv': a model is loaded into this process ('local')",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_is_refused_before_anything_is_recorded(arguments: Mapping[str, Any], message: str) -> None:
    # Without a server: what would be recorded would fail otherwise.
    with pytest.raises(FlowrunError, match=re.escape(message)):
        evaluate(**arguments)


FILES = {
    "no file": ("there is no file", None),
    "data.xlsx": ("data.xlsx: data is read from .csv, .tsv, .parquet, .json and .jsonl files", "x"),
    "data.parquet": ("data.parquet can't be read: ", "x"),
    "data.json": ("data.json can't be read: ", "{"),
}


@pytest.mark.parametrize(("name", "said"), FILES.items(), ids=FILES)
def test_a_file_that_is_no_table_is_named(
    tmp_path: Path, name: str, said: tuple[str, str | None]
) -> None:
    message, content = said
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(FlowrunError, match=re.escape(message)):
        evaluate(same, tmp_path / name, targets="y", model_type="regressor")
