"""What is kept of a sweep with its run: what was asked for, and each trial that is over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from flowrun.engine.sweeps.samplers import SweepSpec, Trial, TrialState
from flowrun.errors import NotRepeatableError
from flowrun.spec.parse_space import Choice, Dimension, Range

SWEEP_FILE = "flowrun/sweep.json"
BEST_STEP_TAG = "flowrun.sweep.best_step"
BEST_RUN_TAG = "flowrun.sweep.best_run"
BEST_VALUE_TAG = "flowrun.sweep.best_value"


def best_tags(best: Trial | None) -> dict[str, str]:
    """Give the tags of a sweep's run that say which trial was best."""
    if best is None:
        return {}
    tags = {BEST_STEP_TAG: best.step_id, BEST_VALUE_TAG: repr(best.value)}
    return tags | ({BEST_RUN_TAG: best.run_id} if best.run_id else {})


def sweep_text(spec: SweepSpec, trials: Iterable[Trial]) -> str:
    """Give the file's text."""
    told = {
        "space": {name: _dimension_json(each) for name, each in spec.space.items()},
        "trials_asked": spec.trials,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "seed": spec.seed,
        "parallel": spec.parallel,
        "metric": spec.metric,
        "mode": "max" if spec.is_max else "min",
    }
    # A line for each trial: quick to write again and again, and to read.
    rows = ",\n".join(json.dumps(trial_json(each)) for each in trials)
    return f'{json.dumps(told)[:-1]}, "trials": [\n{rows}\n]}}\n'


def trial_json(trial: Trial) -> dict[str, object]:
    """Give a trial as JSON values."""
    return {
        "number": trial.number,
        "step": trial.step_id,
        "values": dict(trial.values),
        "state": trial.state.value,
        "value": trial.value,
        "run_id": trial.run_id,
        "detail": trial.detail,
    }


def parse_sweep(data: object) -> tuple[SweepSpec, tuple[Trial, ...]]:
    """Take the file's JSON apart.

    Raises:
        NotRepeatableError: it is none: anyone may write to a store.
    """
    try:
        if not isinstance(data, Mapping):
            raise TypeError("no map")
        spec = SweepSpec(
            {str(name): _dimension(each) for name, each in data["space"].items()},
            None if data["trials_asked"] is None else int(data["trials_asked"]),
            str(data["sampler"]),
            int(data["seed"]),
            int(data["parallel"]),
            _text(data["metric"]),
            data["mode"] == "max",
            _text(data["pruner"]),
        )
        return spec, tuple(_trial(each) for each in data["trials"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotRepeatableError(f"what was kept of the sweep can't be read: {error!r}") from error


def _dimension_json(dimension: Dimension) -> dict[str, object]:
    match dimension:
        case Choice(texts):
            return {"values": list(texts)}
        case Range():
            return {
                "low": dimension.low,
                "high": dimension.high,
                "int": dimension.is_int,
                "log": dimension.is_log,
                "step": dimension.step,
            }


def _dimension(data: Mapping[str, object]) -> Dimension:
    values = data.get("values")
    if isinstance(values, list):
        return Choice(tuple(map(str, values)))
    step = data["step"]
    return Range(
        float(str(data["low"])),
        float(str(data["high"])),
        data["int"] is True,
        data["log"] is True,
        None if step is None else float(str(step)),
    )


def _trial(row: Mapping[str, object]) -> Trial:
    values, value = row["values"], row["value"]
    if not isinstance(values, Mapping):
        raise TypeError("a trial without values")
    return Trial(
        int(str(row["number"])),
        str(row["step"]),
        {str(name): str(text) for name, text in values.items()},
        TrialState(str(row["state"])),
        None if value is None else float(str(value)),
        _text(row["run_id"]),
        str(row["detail"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
