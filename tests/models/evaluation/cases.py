"""The same evaluations for flowrun and for MLflow as it is released: models, data, arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """Arguments of `evaluate`, but for the model."""

    make: Callable[[], tuple[Any, Any]]
    """Gives an estimator (None: none) and a table with the column `target`."""
    model_type: str
    config: Mapping[str, object] = field(default_factory=dict)
    predictions: str | None = None
    only_ours: frozenset[str] = frozenset()
    """Metrics that the other one can't have."""


def _numpy() -> Any:  # noqa: ANN401
    return importlib.import_module("numpy")


def _table(rows: int = 120) -> Any:  # noqa: ANN401 - of pandas
    values = _numpy().random.default_rng(3).normal(size=(rows, 3))
    return importlib.import_module("pandas").DataFrame(values, columns=["a", "b", "c"])


def _fitted(name: str, target: Any, **params: object) -> tuple[Any, Any]:  # noqa: ANN401
    table = _table()
    model = getattr(importlib.import_module("sklearn.linear_model"), name)(**params)
    half = len(table) // 2
    return model.fit(table[:half], target[:half]), table.assign(target=target)


def binary() -> tuple[Any, Any]:
    """Two classes, 0 and 1."""
    noise = _numpy().random.default_rng(4).normal(size=120)
    return _fitted("LogisticRegression", (_table()["a"] + noise > 0).astype(int))


def named() -> tuple[Any, Any]:
    """Two classes with names."""
    noise = _numpy().random.default_rng(4).normal(size=120)
    positive = _table()["a"] + noise > 0
    return _fitted("LogisticRegression", positive.map({True: "good", False: "poor"}))


def three() -> tuple[Any, Any]:
    """Three classes."""
    noise = _numpy().random.default_rng(5).normal(size=120) / 2
    sums = _table().sum(axis=1) + noise
    return _fitted("LogisticRegression", (sums > -1).astype(int) + (sums > 1))


def numbers() -> tuple[Any, Any]:
    """Numbers."""
    noise = _numpy().random.default_rng(6).normal(size=120)
    return _fitted("Ridge", _table().sum(axis=1) * 3 + noise + 10)


def said() -> tuple[Any, Any]:
    """Predictions without a model."""
    model, table = numbers()
    return None, table.assign(guess=model.predict(table[["a", "b", "c"]]))


def found() -> tuple[Any, Any]:
    """What searches found, best first; nothing found, nothing to find, the same found twice."""
    pandas = importlib.import_module("pandas")
    rows = [
        (["x", "y", "z"], ["x", "q"]),
        (["y", "x"], ["x"]),
        (["x", "x", "z"], ["x", "z"]),
        ([], ["x"]),
        (["x"], []),
        ([], []),
        (["a", "b", "c", "d", "e"], ["e", "d"]),
    ]
    return None, pandas.DataFrame(rows, columns=["guess", "target"]).assign(query="q")


WEIGHTS = [1.0 + place % 3 for place in range(120)]

CASES: dict[str, Case] = {
    "two classes": Case(binary, "classifier"),
    "two classes, the other positive": Case(binary, "classifier", {"pos_label": 0}),
    "two classes with names": Case(named, "classifier", {"pos_label": "good"}),
    "two classes, weighted": Case(binary, "classifier", {"sample_weights": WEIGHTS}),
    "three classes": Case(three, "classifier"),
    "three classes, macro": Case(three, "classifier", {"average": "macro"}),
    "three classes, weighted": Case(three, "classifier", {"sample_weights": WEIGHTS}),
    "numbers": Case(numbers, "regressor"),
    "numbers, weighted": Case(numbers, "regressor", {"sample_weights": WEIGHTS}),
    "predictions alone": Case(said, "regressor", predictions="guess"),
    "searches": Case(found, "retriever", {"retriever_k": 2}, predictions="guess"),
}


def own_metric(predictions: Any, targets: Any, metrics: Any) -> Any:  # noqa: ANN401 - of theirs
    """Give a metric as users write one."""
    del metrics
    return (predictions == targets).mean()
