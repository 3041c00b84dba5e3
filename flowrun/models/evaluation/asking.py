"""Asks a model, of whatever kind, what it makes of the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items, is_array, is_column, is_frame
from flowrun.models.enforce import enforce_schema
from flowrun.models.evaluation.samples import as_array
from flowrun.models.flavors.pyfunc import PyFuncModel, load_model

Model = Union[str, Callable[[Any], object], object, None]
"""A URI, a function, or what has `predict`; None: there is none to ask."""


@dataclass(frozen=True)
class Answer:
    """What a model said."""

    prediction: Items
    probabilities: Items | None
    classes: Items | None
    """Of the columns of the probabilities, where the model says."""


@dataclass(frozen=True)
class Asked:
    """A model that can be asked."""

    predict: Callable[[object], object]
    raw: object
    """The object of its library; the model itself if there is none."""
    pyfunc: PyFuncModel | None

    def answer(self, features: object, column: str | None) -> Answer:
        """Ask about all rows.

        Args:
            features: as the model takes them.
            column: of its answer, where that has more than one.

        Raises:
            InvalidValueError: the answer is not one value a row.
        """
        count = len(features) if hasattr(features, "__len__") else 0
        prediction = column_of(self.predict(features), column)
        if len(prediction) != count:
            raise InvalidValueError(
                f"the model gave {len(prediction)} predictions for {count} rows"
            )
        return Answer(prediction, *self._probabilities(features))

    def score(self, features: object, target: object, weights: object) -> float | None:
        """Give what a model of scikit-learn says of itself by `score`; None if it says nothing."""
        score = getattr(self.raw, "score", None)
        if not callable(score) or not type(self.raw).__module__.startswith("sklearn."):
            return None
        return float(score(self._raw_features(features), target, sample_weight=weights))

    def _probabilities(self, features: object) -> tuple[Items | None, Items | None]:
        predict = getattr(self.raw, "predict_proba", None)
        if not callable(predict):
            return None, None
        likely: Any = predict(self._raw_features(features))
        array = likely.to_numpy() if is_frame(likely) else likely
        if not is_array(array) or len(array.shape) != 2:
            return None, None
        classes = getattr(self.raw, "classes_", None)
        return array, None if classes is None else as_array(classes)

    def _raw_features(self, features: object) -> object:
        """Give the columns that the model has in its signature, in its types."""
        signature = self.pyfunc.signature if self.pyfunc else None
        if signature is None or signature.inputs is None:
            return known_columns(self.raw, features)
        return enforce_schema(features, signature.inputs)


def asked(model: Model) -> Asked | None:
    """Get a model ready to be asked; None if there is none.

    Raises:
        InvalidValueError: it is nothing that can be asked. NotFoundError and others: its URI leads
            nowhere, see `flowrun.pyfunc.load_model`.
    """
    if model is None:
        return None
    if isinstance(model, str):
        model = load_model(model)
    if isinstance(model, PyFuncModel):
        pyfunc = model
        raw = pyfunc.get_raw_model()

        def predict_as_signed(features: object) -> object:
            if pyfunc.signature is None or pyfunc.signature.inputs is None:
                features = known_columns(raw, features)
            return pyfunc.predict(features)

        return Asked(predict_as_signed, raw, pyfunc)
    predict: Callable[[object], object] | None = getattr(model, "predict", None)
    if callable(predict):
        method, own = predict, model
        return Asked(lambda features: method(known_columns(own, features)), model, None)
    if callable(model):
        return Asked(model, model, None)
    raise InvalidValueError(
        "The model argument must be a string URI referring to an MLflow model, an instance of "
        f"`flowrun.pyfunc.PyFuncModel`, a function, or None; it is a {type(model).__name__}"
    )


def known_columns(raw: object, features: object) -> object:
    """Give the columns that a model of scikit-learn was trained on, if all of them are there."""
    names: Any = getattr(raw, "feature_names_in_", None)
    if names is None or not is_frame(features):
        return features
    wanted = list(names)
    has = features.columns.tolist()
    if wanted == has or not set(wanted) <= set(has):
        return features
    frame: Any = features
    return frame[wanted]


def column_of(made: Any, column: str | None) -> Items:  # noqa: ANN401 - of any library
    """Give one value a row of what a model gave.

    Args:
        made: its answer.
        column: which one of several.

    Raises:
        InvalidValueError: it has several, and it is not said which one counts.
    """
    if isinstance(made, Sequence) and made and all(isinstance(row, Mapping) for row in made):
        made = {name: [row.get(name) for row in made] for name in made[0]}
    if isinstance(made, Mapping) or is_frame(made):
        own: Any = made.columns if is_frame(made) else made
        names = [str(name) for name in own]
        wanted = names[0] if len(names) == 1 else column
        if wanted is None:
            raise InvalidValueError(
                "Output column name is not specified for the multi-output model. Please set the "
                f"correct output column name using the `predictions` parameter: {', '.join(names)}"
            )
        if wanted not in names:
            raise InvalidValueError(
                f"Output column name '{wanted}' is not found in the model predictions; "
                f"there are {', '.join(names)}"
            )
        return as_array(made[wanted])
    if isinstance(made, (list, tuple)) or is_array(made) or is_column(made):
        return as_array(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array: Any = as_array(made)
    return _flat(array)


def _flat(array: Any) -> Items:  # noqa: ANN401 - of numpy
    items: Items = array.reshape(1) if array.ndim == 0 else array
    return items
