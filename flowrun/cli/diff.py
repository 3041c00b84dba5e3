"""`flowrun runs diff`: how two recorded runs differ."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.errors import FlowrunError
from flowrun.plan.draw import Json
from flowrun.proof.difference import (
    Change,
    ContentChange,
    RunDifference,
    StepDifference,
    compare_runs,
)
from flowrun.proof.reading import RunReader
from flowrun.proof.recorded import RecordedContent, RecordedRun
from flowrun.proof.sources import RecordedSources
from flowrun.settings import Settings
from flowrun.sources.cache import SourceCache
from flowrun.sources.compare import TreeChanges, compare_trees
from flowrun.stores import Stores
from flowrun.surroundings import source_cache

JsonObject = dict[str, Json]


@dataclass(frozen=True, slots=True)
class CodeDifference:
    """How the code of two runs differs, as far as it can be had again."""

    changes: TreeChanges
    problem: str | None = None
    """Why it can't be told: a repository is gone, say."""


def diff_command(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Argument(metavar="A", help="Run id, its first digits, or `latest`.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    with_same: Annotated[
        bool, typer.Option("--all", help="With what is the same, and all of a long patch.")
    ] = False,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show how two runs differ: parameters, code, environments, inputs, outputs, metrics.

    The exit code is 0 whether they differ or not: `flowrun verify` is the command that checks.
    """
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores:
        reader = RunReader(stores)
        difference = compare_runs(reader.read(before), reader.read(after))
        code = _code(difference, stores, settings)
    if as_json:
        typer.echo(json.dumps(difference_to_json(difference, code), indent=2))
        return
    # By name: rich takes 50 ms, which the other commands on runs do without.
    show = importlib.import_module("flowrun.cli.diff_view").show_difference
    show(difference, code, with_same=with_same, is_terminal=settings.is_terminal)


def _code(difference: RunDifference, stores: Stores, settings: Settings) -> CodeDifference:
    before, after = difference.before, difference.after
    if before.source.tree == after.source.tree:
        return CodeDifference(TreeChanges())
    cache = source_cache(settings)
    tell = partial(typer.echo, err=True)

    def source_of(run: RecordedRun) -> RecordedSources:
        return RecordedSources(run, stores.open_artifacts(run.artifact_uri), cache, tell)

    try:
        return CodeDifference(_compared(source_of(before), source_of(after), cache))
    except FlowrunError as error:
        return CodeDifference(TreeChanges(), error.message)


def _compared(before: RecordedSources, after: RecordedSources, cache: SourceCache) -> TreeChanges:
    return compare_trees(before.own(), after.own(), cache)


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
