"""Where what a step takes comes from: an earlier step, or outside of the run."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.errors import InvalidValueError
from flowrun.models.uri import LoggedModelUri, RunUri, parse_model_uri
from flowrun.proof.recorded import RecordedRun, RecordedStep
from flowrun.proof.verify.difference import shown


def origin_of(run: RecordedRun, uri: str) -> str | None:
    """Give the step of a run that made what a URI names."""
    try:
        match parse_model_uri(uri):
            case RunUri(run_id, _):
                return step_of(run, run_id)
            case LoggedModelUri(model_id):
                return next((step.id for step in run.steps if model_id in step.models), None)
            case _:
                return None
    except InvalidValueError:
        return None


def step_of(run: RecordedRun, run_id: str) -> str | None:
    """Give the step that has a run of its own."""
    return next((step.id for step in run.steps if step.run_id == run_id), None)


def changed_inputs(recorded: RecordedRun, old: RecordedStep, new: RecordedStep) -> Iterator[str]:
    """Tell of inputs from outside that are not what they were."""
    for name, content in old.inputs.items():
        other = new.inputs.get(name)
        is_outside = origin_of(recorded, content.uri) is None
        if is_outside and other is not None and other.sha256 != content.sha256:
            yield (
                f"its input '{name}' ({content.uri}) has changed: sha256 "
                f"{content.sha256[:12]}... then, {other.sha256[:12]}... now"
            )


def changed_params(
    recorded: RecordedRun, old: RecordedStep, found: RecordedRun, new: RecordedStep
) -> Iterator[str]:
    """Tell of parameters with other values; the URIs of outputs are others each time."""
    for name in dict.fromkeys([*old.params, *new.params]):
        was, now = old.params.get(name, ""), new.params.get(name, "")
        if was == now or (origin_of(recorded, was) and origin_of(found, now)):
            continue
        if old.kind == "select":
            continue
        yield f"its parameter '{name}' was {shown(was)}, is {shown(now)}"
