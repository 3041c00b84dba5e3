"""Trainings of PyTorch: a plain loop by its losses and optimizers, Lightning by its Trainer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from flowrun.models.autolog.hooks import is_inside_training, quietly, wrap
from flowrun.models.autolog.record import log_model, log_params, numbers_of, training
from flowrun.models.autolog.switch import options_of
from flowrun.tracking import fluent

_LIBRARY = "pytorch"
_LIGHTNING = ("lightning.pytorch", "pytorch_lightning")
_losses: dict[str, int] = {}
"""Run to the number of losses that were seen in it."""
_seen_optimizers: set[int] = set()


def install() -> None:
    """Hook into PyTorch and Lightning, as far as they are there; called for each of them."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "Tensor"):
        wrap(torch.Tensor, "backward", _backward)
        wrap(torch.optim.Optimizer, "zero_grad", _zero_grad)
    for name in _LIGHTNING:
        lightning: Any = sys.modules.get(name)
        if lightning is not None and hasattr(lightning, "Trainer"):
            wrap(lightning.Trainer, "fit", _fit)


def _backward(original: Any, loss: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    if options_of(_LIBRARY) is not None and not is_inside_training():
        quietly("a loss", _log_loss, loss)
    return original(loss, *args, **more)


def _log_loss(loss: Any) -> None:  # noqa: ANN401 - a tensor
    options = options_of(_LIBRARY)
    if options is None or loss.numel() != 1:
        return
    run = fluent.run_in_progress()
    key = run.info.run_id if run else ""
    step = _losses.get(key, 0)
    _losses[key] = step + 1
    if step % options.log_every_n_step == 0:
        fluent.log_metric("loss", loss.item(), step=step)


def _zero_grad(original: Any, optimizer: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    is_new = id(optimizer) not in _seen_optimizers
    if is_new and options_of(_LIBRARY) is not None and not is_inside_training():
        _seen_optimizers.add(id(optimizer))
        quietly("parameters", lambda: log_params(_params_of(optimizer)))
    return original(optimizer, *args, **more)


def _fit(original: Any, trainer: Any, model: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    with training(_LIBRARY) as options:
        if options is None:
            return original(trainer, model, *args, **more)
        quietly("metrics", _listen, trainer)
        quietly("parameters", _log_trainer, trainer, model)
        result = original(trainer, model, *args, **more)
        quietly("parameters", _log_optimizers, trainer)
        quietly("a model", log_model, _LIBRARY, model, options)
        return result


def _listen(trainer: Any) -> None:  # noqa: ANN401 - of theirs
    package = type(trainer).__module__.partition(".trainer")[0]
    lightning: Any = sys.modules[package]

    class Listener(lightning.Callback):  # type: ignore[misc]  # not typed
        """Logs each epoch's metrics."""

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:  # noqa: ANN401
            del module
            quietly("metrics", _log_metrics, trainer.callback_metrics, trainer.current_epoch)

    trainer.callbacks.append(Listener())


def _log_metrics(metrics: Mapping[str, object], step: int) -> None:
    fluent.log_metrics(numbers_of({name: _number(value) for name, value in metrics.items()}), step)


def _number(value: Any) -> object:  # noqa: ANN401 - a tensor, or a number already
    return value.item() if hasattr(value, "numel") and value.numel() == 1 else value


def _log_trainer(trainer: Any, model: Any) -> None:  # noqa: ANN401 - of theirs
    said = {"epochs": trainer.max_epochs, **dict(getattr(model, "hparams", {}) or {})}
    log_params(said)


def _log_optimizers(trainer: Any) -> None:  # noqa: ANN401 - of theirs
    for optimizer in trainer.optimizers:
        log_params(_params_of(optimizer))


def _params_of(optimizer: Any) -> dict[str, object]:  # noqa: ANN401 - of theirs
    said = {f"optimizer_{name}": value for name, value in optimizer.defaults.items()}
    return {"optimizer_name": type(optimizer).__name__, **said}
