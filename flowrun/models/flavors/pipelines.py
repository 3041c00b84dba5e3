"""How pipelines of transformers predict: what they take and give in the form that MLflow has.

Source: MLflow 3.17, mlflow/transformers (`_TransformersWrapper`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import is_array, is_frame
from flowrun.models.flavors.base import NOTHING, Predict
from flowrun.models.schema import ColSpec, Schema, TensorSpec
from flowrun.models.signature import ModelSignature

_TABLES = frozenset({"text-classification", "audio-classification", "image-classification"})
"""Tasks that give a table of labels and scores."""
_TEXTS = {
    "automatic-speech-recognition": "text",
    "document-question-answering": "answer",
    "fill-mask": "token_str",
    "question-answering": "answer",
    "summarization": "summary_text",
    "table-question-answering": "answer",
    "text-generation": "generated_text",
    "text2text-generation": "generated_text",
    "translation": "translation_text",
}
"""Tasks that give texts, and how these are called."""
_ENTITIES = ("entity_group", "entity")
_TEXT = Schema([ColSpec("string")])
_TEXT_TO_TEXT = ModelSignature(_TEXT, _TEXT)
_SCORES = Schema([ColSpec("string", "label"), ColSpec("double", "score")])
SIGNATURES: Mapping[str, ModelSignature] = {
    **dict.fromkeys(
        ("fill-mask", "summarization", "text-generation", "text2text-generation"), _TEXT_TO_TEXT
    ),
    **dict.fromkeys(("token-classification", "translation"), _TEXT_TO_TEXT),
    "text-classification": ModelSignature(_TEXT, _SCORES),
    "feature-extraction": ModelSignature(_TEXT, Schema([TensorSpec("float64", (-1,), "double")])),
    "question-answering": ModelSignature(
        Schema([ColSpec("string", "question"), ColSpec("string", "context")]), _TEXT
    ),
}
"""What is known of a task without an example, as MLflow says it."""


class Pipeline(Protocol):
    """A `transformers.Pipeline`."""

    task: str
    model: object

    def __call__(self, *data: object, **params: object) -> object:
        """Predict."""


def kind_of(task: str) -> str:
    """Give a task without the languages that it may name: `translation_en_to_de`."""
    return "translation" if task.startswith("translation_") else task


def predictor(pipeline: Pipeline, config: Mapping[str, object] = NOTHING) -> Predict:
    """Give how a pipeline predicts.

    Args:
        pipeline: the pipeline.
        config: what it is called with, if a prediction has no such params.
    """
    task = kind_of(pipeline.task)

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        made = _call(pipeline, _requests(data), {**config, **(params or {})})
        if task in _TABLES:
            return _frame(made)
        if task == "zero-shot-classification":
            return _frame(_flat(made))
        if task == "feature-extraction":
            return _array(made)
        if task == "token-classification":
            return _entities(made)
        if task == "fill-mask":
            made = _first_of_each(made)
        return _texts(made, _TEXTS[task]) if task in _TEXTS else made

    return predict


def _call(pipeline: Pipeline, requests: object, params: Mapping[str, object]) -> object:
    by_name = kind_of(pipeline.task) in ("zero-shot-classification", "question-answering")
    rows = requests if isinstance(requests, list) else [requests]
    named = [row for row in rows if isinstance(row, dict)]
    if not by_name or len(named) < len(rows):
        return pipeline(requests, **params)
    return [pipeline(**_decoded(row), **params) for row in named]


def _requests(data: object) -> object:
    if is_array(data):
        return data.tolist()
    if is_frame(data):
        columns = data.columns.tolist()
        if len(columns) == 1:
            return data[columns[0]].tolist()
        return [dict(zip(columns, row)) for row in zip(*(data[c].tolist() for c in columns))]
    if isinstance(data, (str, bytes, dict, list)):
        return data
    raise InvalidValueError(f"a pipeline takes texts, tables of them, or bytes, not {type(data)}")


def _decoded(row: Mapping[str, object]) -> dict[str, object]:
    """Read lists that are JSON in a column of texts."""
    return {
        key: json.loads(value) if isinstance(value, str) and value.startswith("[") else value
        for key, value in row.items()
    }


def _items(made: object) -> list[object]:
    return made if isinstance(made, list) else [made]


def _texts(made: object, key: str) -> list[object]:
    """Give the texts in what was made, at any depth, in their order."""
    if isinstance(made, dict):
        said = made.get(key)
        return [said.strip() if isinstance(said, str) else said]
    if isinstance(made, list):
        return [text for item in made for text in _texts(item, key)]
    raise InvalidValueError(f"the pipeline gave no '{key}' but a {type(made).__name__}")


def _first_of_each(made: object) -> object:
    """Give the best answer to each text: there are lists of them, or one."""
    items = _items(made)
    lists = [item for item in items if isinstance(item, list)]
    return [item[0] for item in lists] if lists else items[:1]


def _entities(made: object) -> list[str]:
    """Give a text for each text: its entities with commas between."""
    items = _items(made)
    rows = items if items and isinstance(items[0], list) else [items]
    return [",".join(_entity(item) for item in row) for row in rows if isinstance(row, list)]


def _entity(item: Mapping[str, object]) -> str:
    return str(next(item[key] for key in _ENTITIES if key in item))


def _flat(made: object) -> list[dict[str, object]]:
    return [
        {"sequence": item["sequence"], "labels": label, "scores": score}
        for item in _items(made)
        if isinstance(item, dict)
        for label, score in zip(item["labels"], item["scores"])
    ]


def _frame(rows: object) -> object:
    made: Callable[[Iterable[object]], object] = importlib.import_module("pandas").DataFrame
    return made(_items(rows))


def _array(made: object) -> object:
    """Give the vectors of the first text, or of a single one that of its first word, as MLflow."""
    first = _items(_items(made)[0])[0]
    array: object = importlib.import_module("numpy").array(first)
    return array
