"""The command of an `evaluate:` step, in the step's environment.

    python -m flowrun.models.evaluation --model DIR --data FILE --type regressor --target quality
        --threshold.rmse.max 0.8 --baseline DIR --champion models:/wine/3

It logs to the step's run, and tells the engine by $FLOWRUN_OUTPUT how it went: `passed`,
`verdict`, `beats_champion`, `champion`; and `failure`, why the step has failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models.evaluation.carrying_out import carry_out
from flowrun.models.evaluation.comparing import BETTER, FIRST
from flowrun.models.evaluation.kinds import kind_of
from flowrun.models.evaluation.limits import Limit
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.own_metrics import own_metric
from flowrun.models.evaluation.result import EvaluationResult
from flowrun.models.evaluation.slices import slice_of
from flowrun.models.evaluation.wanted import Wanted
from flowrun.tracking import fluent
from flowrun.tracking.light_http import TrackingError
from flowrun.tracking.light_session import output_file

FAILED = 1
UNUSABLE = 2
UNREACHABLE = 3
_THRESHOLD = "threshold."
_NOBODY = "none"
"""The champion, where there is none yet."""


def main(words: Sequence[str]) -> int:
    """Carry it out.

    Gives the exit code: 1 if a threshold does not hold, 2 for wrong input, 3 without a server.
    """
    try:
        options = read_words(words)
        wanted = wanted_of(options)
        result = carry_out(
            wanted,
            options.get("model"),
            Path(options["data"]),
            options.get("target"),
            options.get("baseline"),
        )
    except FlowrunError as error:
        _tell("failure", " ".join(str(error).split("\n")))
        sys.stderr.write(f"flowrun: {error}\n")
        return UNUSABLE
    except TrackingError as error:
        # Without telling why it has failed: another attempt may find the server.
        sys.stderr.write(f"flowrun: {error}\n")
        return UNREACHABLE
    _report(result, options)
    return FAILED if result.failures else 0


def read_words(words: Sequence[str]) -> dict[str, str]:
    """Read `--name value` pairs.

    Raises:
        InvalidValueError: they are none, or what is needed is missing.
    """
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise InvalidValueError(f"arguments are pairs of --name and value, not: {' '.join(words)}")
    options = {name[2:]: value for name, value in zip(names, values)}
    if "data" not in options:
        raise InvalidValueError("--data is missing")
    return options


def wanted_of(options: Mapping[str, str]) -> Wanted:
    """Give what the arguments ask for.

    Raises:
        InvalidValueError: one of them can't be used.
    """
    limits = _limits(options)
    config: dict[str, object] = {}
    for name, key in (("positive", "pos_label"), ("weights", "sample_weights"), ("group", "group")):
        if name in options:
            config[key] = options[name]
    if "average" in options:
        config["average"] = options["average"]
    if "k" in options:
        config["retriever_k"] = _whole("k", options["k"])
    return Wanted(
        kind=kind_of(options.get("type")),
        predictions=options.get("predictions"),
        options=Options.of(config),
        own=tuple(own_metric(each) for each in _listed(options, "metrics") if ":" in each),
        slices=tuple(slice_of(each) for each in _listed(options, "slices")),
        limits=tuple(limits.values()),
        named=(*limits, *(each for each in _listed(options, "metrics") if ":" not in each)),
        is_first=options.get("champion") == _NOBODY,
        logs_data=False,  # the engine has noted its digest
    )


def _limits(options: Mapping[str, str]) -> dict[str, Limit]:
    """Read `--threshold.METRIC.KEY value`, where the metric's name may have dots."""
    said: dict[str, dict[str, str]] = {}
    for name, value in options.items():
        if name.startswith(_THRESHOLD):
            metric, _, key = name[len(_THRESHOLD) :].rpartition(".")
            said.setdefault(metric, {})[key] = value
    return {metric: _limit(metric, keys) for metric, keys in said.items()}


def _limit(metric: str, keys: Mapping[str, str]) -> Limit:
    gain: float | None = None
    share: float | None = None
    text = keys.get("better_than_champion_by")
    if text is not None and text.endswith("%"):
        share = _number(metric, text[:-1]) / 100
    elif text is not None:
        gain = _number(metric, text)
    higher = keys.get("higher_is_better")
    return Limit(
        metric,
        _number(metric, keys["min"]) if "min" in keys else None,
        _number(metric, keys["max"]) if "max" in keys else None,
        gain,
        share,
        None if higher is None else higher.lower() == "true",
    )


def _number(metric: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidValueError(f"threshold of {metric}: '{text}' is no number") from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidValueError(f"'{name}' must be a whole number, not '{text}'") from None


def _listed(options: Mapping[str, str], name: str) -> list[str]:
    if name not in options:
        return []
    found: list[str] = json.loads(options[name])
    return found


def _report(result: EvaluationResult, options: Mapping[str, str]) -> None:
    """Print the metrics, and tell the steps after this one how it went."""
    for name, value in result.metrics.items():
        before = result.baseline_metrics.get(name)
        beside = "" if before is None else f"  (champion {before:.6g})"
        sys.stdout.write(f"{name:32} {value:.6g}{beside}\n")
    champion = options.get("champion", _NOBODY)
    beats = result.verdict in (BETTER, FIRST)
    # Text: "true" or nothing, so that it can be used in an `if` in any way.
    _tell("passed", "" if result.failures else "true")
    _tell("verdict", result.verdict)
    _tell("beats_champion", "true" if beats else "")
    _tell("champion", "" if champion == _NOBODY else champion)
    for text in result.failures:
        sys.stderr.write(f"flowrun: {text}\n")
    if result.failures:
        _tell("failure", "; ".join(result.failures))


def _tell(name: str, value: str) -> None:
    if output_file():
        fluent.set_output(name, value)
