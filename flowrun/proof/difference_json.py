"""A difference of two runs, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from flowrun.plan.draw import Json
from flowrun.proof.canonical import JsonObject
from flowrun.proof.code import CodeDifference
from flowrun.proof.difference import Change, ContentChange, RunDifference, StepDifference
from flowrun.proof.recorded import RecordedContent


def difference_to_json(difference: RunDifference, code: CodeDifference) -> JsonObject:
    """Give a difference for programs: `before`, `after` and `is_same` of everything."""
    files: list[Json] = [asdict(file) for file in code.changes.files]
    return {
        "before": difference.before.run_id,
        "after": difference.after.run_id,
        "is_same": difference.is_same,
        "facts": _changes(difference.facts),
        "params": _changes(difference.params),
        "code": {
            "files": files,
            "patch": code.changes.patch,
            "is_cut": code.changes.is_cut,
            "problem": code.problem,
        },
        "environments": [
            {
                "steps": list(each.steps),
                "backends": list(each.backends),
                "is_known": each.is_known,
                "packages": _changes(each.packages),
            }
            for each in difference.environments
        ],
        "steps": [_step(step) for step in difference.steps],
    }


def _step(step: StepDifference) -> JsonObject:
    return {
        "before": step.before,
        "after": step.after,
        "is_same": step.is_same,
        "facts": _changes(step.facts),
        "params": _changes(step.params),
        "inputs": _contents(step.inputs),
        "outputs": _contents(step.outputs),
        "metrics": _changes(step.metrics),
        "values": _changes(step.values),
    }


def _changes(changes: Sequence[Change]) -> JsonObject:
    return {
        each.name: {"before": each.before, "after": each.after, "is_same": each.is_same}
        for each in changes
    }


def _contents(changes: Sequence[ContentChange]) -> JsonObject:
    return {
        each.name: {
            "before": _content(each.before),
            "after": _content(each.after),
            "is_same": each.is_same,
        }
        for each in changes
    }


def _content(content: RecordedContent | None) -> Json:
    return asdict(content) if content else None
