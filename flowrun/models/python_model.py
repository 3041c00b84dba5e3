"""`PythonModel`: a model that is a class, or a function, of your own.

What is here is pickled whole with each model, so that it can be loaded where flowrun is not: keep
it free of imports of flowrun.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping


class PythonModelContext:
    """What a model gets beside the data."""

    def __init__(
        self, artifacts: Mapping[str, str], model_config: Mapping[str, object] | None
    ) -> None:
        """Keep both."""
        self.artifacts = artifacts
        """Names of files and folders that were kept with the model, to where they are."""
        self.model_config = model_config or {}


class _NoHints:
    """For MLflow, which converts data by the hints of `predict`; here data comes as it is."""

    input = None
    output = None


class PythonModel:
    """Derive from it, and write `predict(self, context, model_input, params=None)`.

    `context` and `params` may be left out.
    """

    predict_type_hints = _NoHints()

    def load_context(self, context: PythonModelContext) -> None:
        """Do what takes long, once, after the model was loaded."""

    def predict(
        self,
        context: PythonModelContext | None,
        model_input: object,
        params: Mapping[str, object] | None = None,
    ) -> object:
        """Give what the model makes of data."""
        raise NotImplementedError(f"{type(self).__name__} has no predict()")

    def predict_stream(
        self,
        context: PythonModelContext | None,
        model_input: object,
        params: Mapping[str, object] | None = None,
    ) -> Iterator[object]:
        """Give what the model makes of data, piece by piece."""
        raise NotImplementedError(f"{type(self).__name__} has no predict_stream()")


class FunctionModel(PythonModel):
    """A model that is a function of the data, and of `params` if it has such an argument."""

    def __init__(self, func: Callable[..., object]) -> None:
        """Keep the function."""
        self.func = func

    def predict(
        self,
        context: PythonModelContext | None,
        model_input: object,
        params: Mapping[str, object] | None = None,
    ) -> object:
        """Call the function."""
        del context
        names = inspect.signature(self.func).parameters
        return self.func(model_input, params) if "params" in names else self.func(model_input)


def call_predict(
    method: Callable[..., object],
    context: PythonModelContext | None,
    data: object,
    params: Mapping[str, object] | None,
) -> object:
    """Call a model's `predict` with as much as it takes; one of MLflow's too."""
    names = inspect.signature(method).parameters
    keywords = {"params": params} if "params" in names else {}
    others = [name for name in names if name not in ("self", "params")]
    if "context" in names or len(others) == 2:
        return method(context, data, **keywords)
    return method(data, **keywords)
