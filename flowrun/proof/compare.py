"""Compares two recorded runs: fact by fact, step by step.

Values that name a run or a model of their own run (`runs:/<id>/...`) are compared by the step that
made it: else everything would differ always.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from flowrun.proof.difference import (
    Change,
    ContentChange,
    EnvironmentDifference,
    RunDifference,
    StepDifference,
)
from flowrun.proof.packages import packages_of
from flowrun.proof.record import environment_key
from flowrun.proof.recorded import RecordedContent, RecordedEnv, RecordedRun, RecordedStep

T = TypeVar("T")

_WORK = re.compile(r"[^\s'\"]*/work/[0-9a-f]{32}/\d+/")
"""A step's working directory: a new one each time."""
_ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")
"""Of a run or a logged model."""


def compare_runs(before: RecordedRun, after: RecordedRun) -> RunDifference:
    """Compare two runs by what was recorded of them."""
    pairs = list(_paired(before.steps, after.steps))
    is_pipeline = before.is_pipeline or after.is_pipeline
    own, other = _Names(before), _Names(after)
    return RunDifference(
        before,
        after,
        facts=tuple(_run_facts(before, after)),
        params=_changes(before.params, after.params) if is_pipeline else (),
        environments=tuple(_environments(pairs)),
        steps=tuple(_step(old, new, own, other) for old, new in pairs),
    )


class _Names:
    """Tells a run's own ids by the steps that have made what they name."""

    def __init__(self, run: RecordedRun) -> None:
        self._steps = {step.run_id: step.id for step in run.steps}
        self._steps |= {model: step.id for step in run.steps for model in step.models}

    def told(self, text: str) -> str:
        """Give a text with step ids in the place of run and model ids."""
        return _ID.sub(lambda found: self._steps.get(found[0], found[0]), text)


def _run_facts(before: RecordedRun, after: RecordedRun) -> Iterator[Change]:
    old, new = before.source, after.source
    yield Change("entry point", before.entry_point, after.entry_point)
    yield Change("status", before.status.value, after.status.value)
    yield Change("source", old.uri, new.uri)
    yield Change("commit", old.commit, new.commit)
    yield Change("tree", old.tree, new.tree)
    yield Change("uncommitted", _yes(old.is_dirty), _yes(new.is_dirty))
    yield Change("in place", _yes(old.is_in_place), _yes(new.is_in_place))
    yield Change("flowrun", before.flowrun_version, after.flowrun_version)
    yield Change("host", before.host, after.host)
    yield Change("user", before.user, after.user)
    called, called_now = _called(before), _called(after)
    for uri in dict.fromkeys([*called, *called_now]):
        yield Change(f"project {uri}", called.get(uri), called_now.get(uri))


def _called(run: RecordedRun) -> dict[str, str | None]:
    """Give the projects that steps called, with what exactly they were."""
    return {
        step.source.uri: step.source.commit or step.source.tree
        for step in run.steps
        if step.source.uri != run.source.uri
    }


def _paired(
    before: Sequence[RecordedStep], after: Sequence[RecordedStep]
) -> Iterator[tuple[RecordedStep | None, RecordedStep | None]]:
    """Pair steps by id; those of a matrix whose values have changed, in their order."""
    new = {step.id: step for step in after}
    old = {step.id for step in before}
    partners = {step.id: new[step.id] for step in before if step.id in new}
    left = _by_name(step for step in before if step.id not in new)
    right = _by_name(step for step in after if step.id not in old)
    for name, steps in left.items():
        if len(steps) == len(right.get(name, [])):
            partners |= {one.id: two for one, two in zip(steps, right[name], strict=True)}
    taken = {step.id for step in partners.values()}
    for step in before:
        yield step, partners.get(step.id)
    yield from ((None, step) for step in after if step.id not in taken)


def _by_name(steps: Iterable[RecordedStep]) -> dict[tuple[str, str], list[RecordedStep]]:
    found: dict[tuple[str, str], list[RecordedStep]] = {}
    for step in steps:
        found.setdefault((step.kind, step.id.partition("[")[0]), []).append(step)
    return found


def _step(
    old: RecordedStep | None, new: RecordedStep | None, own: _Names, other: _Names
) -> StepDifference:
    if old is None or new is None:
        return StepDifference(old.id if old else None, new.id if new else None)
    return StepDifference(
        old.id,
        new.id,
        facts=tuple(_step_facts(old, new, own, other)),
        params=_changes(_params(old, own), _params(new, other)),
        inputs=_contents(old.inputs, new.inputs),
        outputs=_contents(old.outputs, new.outputs),
        metrics=_changes(old.metrics, new.metrics),
        values=_changes(_told(old.values, own), _told(new.values, other)),
    )


def _step_facts(
    old: RecordedStep, new: RecordedStep, own: _Names, other: _Names
) -> Iterator[Change]:
    yield Change("kind", old.kind, new.kind)
    yield Change("entry point", old.entry_point, new.entry_point)
    yield Change("status", old.status.value, new.status.value)
    yield Change("error", old.error, new.error)
    yield Change("exit code", _text(old.exit_code), _text(new.exit_code))
    yield Change("signal", _text(old.signal), _text(new.signal))
    yield Change("command", _command(old, own), _command(new, other))
    yield Change("image", _image(old.env), _image(new.env))


def _image(env: RecordedEnv | None) -> str | None:
    return env.image if env else None


def _command(step: RecordedStep, names: _Names) -> str | None:
    return names.told(_WORK.sub("", step.command)) if step.command is not None else None


def _params(step: RecordedStep, names: _Names) -> dict[str, str]:
    """Give the parameters that are no inputs: these are compared by content."""
    return {k: names.told(v) for k, v in step.params.items() if k not in step.inputs}


def _told(texts: Mapping[str, str], names: _Names) -> dict[str, str]:
    return {name: names.told(text) for name, text in texts.items()}


def _changes(before: Mapping[str, T], after: Mapping[str, T]) -> tuple[Change, ...]:
    return tuple(
        Change(name, _scalar(before.get(name)), _scalar(after.get(name)))
        for name in dict.fromkeys([*before, *after])
    )


def _scalar(value: object) -> str | float | None:
    return value if value is None or isinstance(value, str | float) else str(value)


def _contents(
    before: Mapping[str, RecordedContent], after: Mapping[str, RecordedContent]
) -> tuple[ContentChange, ...]:
    return tuple(
        ContentChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
    )


def _environments(
    pairs: Sequence[tuple[RecordedStep | None, RecordedStep | None]],
) -> Iterator[EnvironmentDifference]:
    """Compare each pair of environments once, however many steps have it."""
    steps: dict[tuple[str, str], list[str]] = {}
    environments: dict[tuple[str, str], tuple[RecordedEnv, RecordedEnv]] = {}
    for old, new in pairs:
        if old is not None and new is not None and old.env is not None and new.env is not None:
            keys = (environment_key(old.env), environment_key(new.env))
            if keys[0] != keys[1]:
                steps.setdefault(keys, []).append(new.id)
                environments[keys] = (old.env, new.env)
    for keys, (before, after) in environments.items():
        yield EnvironmentDifference(
            tuple(steps[keys]),
            (before.backend, after.backend),
            tuple(_packages(before, after)),
            is_known=before.lock is not None and after.lock is not None,
        )


def _packages(before: RecordedEnv, after: RecordedEnv) -> Iterator[Change]:
    old, new = _versions(before), _versions(after)
    for name in sorted(old.keys() | new.keys()):
        (was, files), (is_now, files_now) = old.get(name, (None, ())), new.get(name, (None, ()))
        if was == is_now and set(files) != set(files_now):
            yield Change(name, f"{was} ({_files(files)})", f"{is_now} ({_files(files_now)})")
        else:
            yield Change(name, was, is_now)


def _versions(env: RecordedEnv) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    return {each.name: (each.version, each.sha256s) for each in packages_of(env)}


def _files(sha256s: Sequence[str]) -> str:
    """Tell files of one version apart: an index may have replaced them, or have more by now."""
    if len(sha256s) == 1:
        return f"sha256:{sha256s[0][:12]}"
    return f"{len(sha256s)} files" if sha256s else "without a hash"


def _yes(is_so: bool) -> str:  # noqa: FBT001 - the one thing it shows
    return "yes" if is_so else "no"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
