"""Why a step runs: what is different from the nearest earlier run of it, in exact words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from flowrun.engine.cache.earlier import EarlierRuns
from flowrun.engine.cache.identity import Identity
from flowrun.engine.code import Codes
from flowrun.envs.lock import pins, python_of
from flowrun.errors import FlowrunError
from flowrun.plan.fingerprint import Difference, Kind, Reason, differences
from flowrun.plan.plan import PlannedStep
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run

FIRST = "no finished run of it is known"
LOCK_TAG = "flowrun.env.lock"
"""Of a step: where its environment's lock is, as `runs:/RUN_ID/PATH`."""
LOCK_FILE = "flowrun/environment.lock"
"""The same of a command by itself: the artifact's path."""
MOST_NAMED = 3


@dataclass(slots=True)
class Reasons:
    """Compares steps with earlier runs of them. Called from any thread."""

    earlier: EarlierRuns
    codes: Codes
    artifacts_of: Callable[[str], Artifacts]
    """Run id to its artifacts."""
    _packages: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def why(self, step: PlannedStep, identity: Identity, makers: Mapping[str, str]) -> str:
        """Say what changed since the nearest earlier run of a step.

        Args:
            step: what is about to run.
            identity: what decides it now.
            makers: URI of an earlier step's output to that step's id.
        """
        found = self.earlier.nearest(step.id, identity.manifest)
        if found is None:
            return FIRST
        run, manifest = found
        different = differences(manifest, identity.manifest)
        if not different:
            return f"run {run.info.run_id} did the same, but can't stand for it"
        details = {
            each.label: words
            for each in different
            if (words := self._details(each, step, identity, run, makers))
        }
        return str(Reason(different, details))

    def _details(
        self,
        difference: Difference,
        step: PlannedStep,
        identity: Identity,
        run: Run,
        makers: Mapping[str, str],
    ) -> str | None:
        label = difference.label
        if difference.before is None or difference.after is None:
            return None
        match label.kind:
            case Kind.CODE:
                tree = run.tags.get("flowrun.source.tree", "")
                subdir = run.tags.get("flowrun.source.subdir", "")
                changes = self.codes.changes(step, tree, subdir)
                return f"code: {_listed(map(str, changes))}" if changes else None
            case Kind.ENVIRONMENT:
                return self._environment(difference, identity, run)
            case Kind.INPUT:
                maker = makers.get(identity.origins.get(label.name, ""))
                return f"output of {maker} changed" if maker else None
            case _:
                return None

    def _environment(self, difference: Difference, identity: Identity, run: Run) -> str | None:
        before, after = (
            str(text).partition(" ")[0] for text in (difference.before, difference.after)
        )
        if before != after:
            return f"environment: {before} -> {after}"
        try:
            old = self._packages_of(run)
        except (FlowrunError, OSError):
            return None
        changes = _package_changes(old, packages(identity.env.text))
        return f"environment: {_listed(changes)}" if changes else None

    def _packages_of(self, run: Run) -> Mapping[str, str]:
        """Give the packages of an earlier run; many steps share one environment."""
        key = run.tags.get(LOCK_TAG) or f"runs:/{run.info.run_id}/{LOCK_FILE}"
        with self._lock:
            found = self._packages.get(key)
            if found is None:
                run_id, _, path = key.removeprefix("runs:/").partition("/")
                with self.artifacts_of(run_id).open(path) as file:
                    text = file.read().decode("utf-8", "replace")
                found = self._packages[key] = packages(text)
            return found


def packages(lock: str) -> Mapping[str, str]:
    """Give the version of each package of a lock, and of its Python."""
    found = dict(pin.split(" --hash=", 1)[0].partition("==")[::2] for pin in pins(lock))
    if python := python_of(lock):
        found["python"] = python.partition(" ")[0]
    return found


def _package_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    changes = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None:
            changes.append(f"{name} {after} is new")
        elif after is None:
            changes.append(f"{name} {before} is gone")
        elif before != after:
            changes.append(f"{name} {before} -> {after}")
    return changes


def _listed(words: Iterable[str]) -> str:
    """Name the first few, and say how many more there are."""
    all_words = list(words)
    more = len(all_words) - MOST_NAMED
    shown = ", ".join(all_words[:MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
