"""Trainings of Keras: each `fit` of a model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from flowrun.models.autolog.hooks import quietly, wrap
from flowrun.models.autolog.record import log_dataset, log_model, log_params, numbers_of, training
from flowrun.tracking import fluent

_NAMED = ("epochs", "batch_size", "steps_per_epoch", "initial_epoch", "validation_split")


def install() -> None:
    """Hook into Keras."""
    keras = importlib.import_module("keras")
    # What trains is another class for each of its backends.
    for kind in keras.Model.__mro__:
        wrap(kind, "fit", _fit)


def _fit(original: Any, model: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    with training("keras") as options:
        if options is None:
            return original(model, *args, **more)
        callback = quietly("metrics", _callback)
        if callback is not None and len(args) < 6:
            more["callbacks"] = [*(more.get("callbacks") or ()), callback]
        quietly("parameters", _log_params, model, more)
        history = original(model, *args, **more)
        data = args[0] if args else more.get("x")
        quietly("a summary", _log_summary, model)
        if options.log_datasets:
            quietly("data", log_dataset, data)
        quietly("a model", log_model, "keras", model, options, data, _predict(model))
        return history


def _callback() -> object:
    keras = importlib.import_module("keras")

    class Listener(keras.callbacks.Callback):  # type: ignore[misc, name-defined]  # not typed
        """Logs each epoch's metrics."""

        def on_epoch_end(self, epoch: int, logs: Mapping[str, object] | None = None) -> None:
            quietly("metrics", fluent.log_metrics, numbers_of(logs or {}), epoch)

    return Listener()


def _log_params(model: Any, more: Mapping[str, object]) -> None:  # noqa: ANN401 - of theirs
    optimizer = getattr(model, "optimizer", None)
    config = optimizer.get_config() if optimizer is not None else {}
    said = {name: more[name] for name in _NAMED if more.get(name) is not None}
    log_params({**said, **{f"opt_{name}": value for name, value in config.items()}})


def _predict(model: Any) -> Callable[[Any], object]:  # noqa: ANN401 - of theirs
    return lambda rows: model.predict(rows, verbose=0)


def _log_summary(model: Any) -> None:  # noqa: ANN401 - of theirs
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    fluent.log_text("\n".join(lines) + "\n", "model_summary.txt")
