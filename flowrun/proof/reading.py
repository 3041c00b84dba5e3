"""Reads a recorded run back, by MLflow's protocol alone: any tracking store will do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from flowrun.engine.cache.reasons import LOCK_TAG
from flowrun.engine.events import Attempt
from flowrun.engine.record.live import ERROR_TAG, PARENT_TAG
from flowrun.engine.record.options_file import OPTIONS_FILE
from flowrun.engine.record.outcome import OUTCOME_FILE, StepRow, parse_outcome
from flowrun.engine.record.recorder import ATTEMPT_TAG, LOCKS_FOLDER
from flowrun.envs.published import key_of
from flowrun.errors import InvalidValueError, NotFoundError, UsageError
from flowrun.plan.draw import Json
from flowrun.proof.recorded import (
    RecordedContent,
    RecordedEnv,
    RecordedOutcome,
    RecordedRun,
    RecordedSource,
    RecordedStep,
)
from flowrun.stores import Stores, all_items
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Metric, Run

STEP_TAG = "flowrun.step"
PLAN_FILE = "flowrun/plan.json"
INPUT_PREFIX = "flowrun.input."
OUTPUT_PREFIX = "flowrun.output."
VALUE_PREFIX = "flowrun.value."
MIN_ID_PREFIX = 4
LATEST = "latest"
VERIFIES_TAG = "flowrun.verifies"
"""On each run that a verification made: the id of the run that it verifies."""
RUNS = "runs:/"
_SHA256 = re.compile("[0-9a-f]{64}")
_LOCK_OF_A_STEP = re.compile(
    rf"runs:/(?P<run_id>\w[\w-]*)/(?P<path>{LOCKS_FOLDER}/(?P<digest>[0-9a-f]{{64}})\.lock)"
)


class RunReader:
    """Reads runs from one store; what several steps share is read once."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._locks: dict[str, str | None] = {}
        """By key: steps in one environment have one lock."""

    def read(self, run_id: str) -> RecordedRun:
        """Give a pipeline's run, or a single command's.

        Args:
            run_id: the run's id, its first digits, or `latest`.

        Raises:
            NotFoundError: there is no such run.
            UsageError: it is a step's run, or none that flowrun has made.
        """
        run = self.find(run_id)
        tags = run.tags
        if parent := tags.get(PARENT_TAG):
            what = f"step '{tags[STEP_TAG]}'" if STEP_TAG in tags else "a part"
            raise UsageError(f"run {run.info.run_id} is {what} of run {parent}", "Name that one.")
        if "flowrun.version" not in tags:
            raise UsageError(
                f"run {run.info.run_id} was not made by `flowrun run`: nothing is recorded of its "
                "code and environment"
            )
        artifacts = self._stores.open_artifacts(run.info.artifact_uri)
        kept = {info.path for info in artifacts.list("flowrun")}
        plan = _json(artifacts, kept, PLAN_FILE)
        rows = parse_outcome(_json(artifacts, kept, OUTCOME_FILE)) or {}
        is_pipeline = STEP_TAG not in tags
        runs = self._children(run) if is_pipeline else [run]
        info = run.info
        return RecordedRun(
            run_id=info.run_id,
            name=info.run_name,
            experiment_id=info.experiment_id,
            status=info.status,
            start_time_ms=info.start_time_ms,
            end_time_ms=info.end_time_ms,
            user=info.user_id,
            host=tags.get("flowrun.host"),
            flowrun_version=tags.get("flowrun.version"),
            source=_source(tags),
            entry_point=tags.get("mlflow.project.entryPoint", "main"),
            is_pipeline=is_pipeline,
            artifact_uri=info.artifact_uri,
            params=run.params,
            steps=self._steps(runs, plan, rows) if is_pipeline else (self._step(run),),
            outcomes={name: _outcome(row) for name, row in rows.items()},
            plan=plan,
            project_file=_text(artifacts, kept, "flowrun/MLproject"),
            diff=_text(artifacts, kept, "flowrun/source.diff"),
            tags=tags,
            attempts=_attempts(runs),
            options=_json(artifacts, kept, OPTIONS_FILE),
        )

    def find(self, text: str) -> Run:
        """Give the run of an id, of an id's beginning if only one has it, or the `latest` one.

        Args:
            text: that, or with `runs:/` before it.

        Raises:
            NotFoundError: there is none. UsageError: there are several.
        """
        text = text.removeprefix(RUNS)
        if text == LATEST:
            return self._latest()
        store = self._stores.tracking
        missing = NotFoundError(
            f"there is no run {text!r}", "`flowrun runs list` shows what there is."
        )
        if not text.isalnum():
            raise missing
        try:
            return store.get_run(text)
        except (NotFoundError, InvalidValueError):
            if len(text) < MIN_ID_PREFIX:
                raise missing from None
        found = store.search_runs(
            self._experiments(), filter_text=f"attributes.run_id LIKE '{text}%'", max_results=3
        ).items
        if len(found) > 1:
            raise UsageError(f"'{text}' is the beginning of several runs' ids; give more digits")
        if not found:
            raise missing
        return found[0]

    def history(self, run_id: str, key: str) -> list[Metric]:
        """Give all points of one metric."""
        store = self._stores.tracking
        return all_items(lambda token: store.get_metric_history(run_id, key, page_token=token))

    def _latest(self) -> Run:
        """Give the newest run that is not a step of another."""
        store, token = self._stores.tracking, None
        experiments = self._experiments()
        while True:
            page = store.search_runs(experiments, max_results=100, page_token=token)
            for run in page.items:
                if PARENT_TAG not in run.tags and VERIFIES_TAG not in run.tags:
                    return run
            token = page.next_page_token
            if token is None:
                raise NotFoundError("there is no run yet", "`flowrun run` makes one.")

    def _experiments(self) -> list[str]:
        store = self._stores.tracking
        found = all_items(lambda token: store.search_experiments(page_token=token))
        return [each.experiment_id for each in found]

    def _children(self, run: Run) -> list[Run]:
        """Give the runs of a pipeline's steps, attempt after attempt, whatever the clock said."""
        store = self._stores.tracking
        runs = all_items(
            lambda token: store.search_runs(
                [run.info.experiment_id],
                filter_text=f"tags.`{PARENT_TAG}` = '{run.info.run_id}'",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        )
        return sorted(runs, key=attempt_of)

    def _steps(
        self, runs: list[Run], plan: Mapping[str, Json] | None, rows: Mapping[str, StepRow]
    ) -> tuple[RecordedStep, ...]:
        # A later run of a step takes the place of an earlier one.
        newest = {run.tags[STEP_TAG]: run for run in runs if STEP_TAG in run.tags}
        for step_id, row in rows.items():
            if row.reused_from is not None and (stands := self._found(row.reused_from)):
                newest[step_id] = stands
        planned = {step_id: place for place, step_id in enumerate(planned_ids(plan))}
        ordered = sorted(newest, key=lambda step_id: planned.get(step_id, len(planned)))
        return tuple(replace(self._step(newest[each]), id=each) for each in ordered)

    def _found(self, run_id: str) -> Run | None:
        try:
            return self._stores.tracking.get_run(run_id)
        except (NotFoundError, InvalidValueError):
            return None  # removed since

    def _step(self, run: Run) -> RecordedStep:
        info, tags = run.info, run.tags
        return RecordedStep(
            id=tags.get(STEP_TAG, ""),
            kind=tags.get("flowrun.step.kind", "command"),
            run_id=info.run_id,
            entry_point=tags.get("mlflow.project.entryPoint", ""),
            status=info.status,
            start_time_ms=info.start_time_ms,
            end_time_ms=info.end_time_ms,
            source=_source(tags),
            artifact_uri=info.artifact_uri,
            params=run.params,
            command=tags.get("flowrun.command"),
            inputs=_contents(tags, INPUT_PREFIX),
            outputs=_contents(tags, OUTPUT_PREFIX),
            values=_prefixed(tags, VALUE_PREFIX),
            metrics={key: metric.value for key, metric in run.metrics.items()},
            models=tuple(output.model_id for output in run.model_outputs),
            env=self._env(run),
            exit_code=_whole(tags.get("flowrun.exit_code")),
            signal=_whole(tags.get("flowrun.signal")),
            error=tags.get(ERROR_TAG),
            peak_memory_bytes=_whole(tags.get("flowrun.peak_memory_bytes")),
            cpu_time_s=_number(tags.get("flowrun.cpu_time_s")),
            tags=tags,
        )

    def _env(self, run: Run) -> RecordedEnv | None:
        backend = run.tags.get("flowrun.env.backend")
        if backend is None:
            return None
        key = run.tags.get("flowrun.env.key", "")
        return RecordedEnv(
            backend,
            key,
            self._lock(run, key),
            run.tags.get("mlflow.docker.image.uri"),
            run.tags.get("mlflow.docker.image.id"),
        )

    def _lock(self, run: Run, key: str) -> str | None:
        if key and key in self._locks:
            return self._locks[key]
        text = self._lock_text(run)
        if key:
            self._locks[key] = text
        return text

    def _lock_text(self, run: Run) -> str | None:
        """Read a lock: of a step it is with its pipeline, under its own digest."""
        place = _LOCK_OF_A_STEP.fullmatch(run.tags.get(LOCK_TAG, ""))
        if place is not None:
            run = self._stores.tracking.get_run(place["run_id"])
        path = place["path"] if place else "flowrun/environment.lock"
        artifacts = self._stores.open_artifacts(run.info.artifact_uri)
        text = _read(artifacts, path) if artifacts.exists(path) else None
        is_changed = place is not None and text is not None and key_of(text) != place["digest"]
        return None if is_changed else text


def read_plan(artifacts: Artifacts) -> Mapping[str, Json] | None:
    """Read the plan that a run keeps; None if it has none."""
    try:
        with artifacts.open(PLAN_FILE) as file:
            data = json.load(file)
    except (NotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def attempt_of(run: Run) -> int:
    """Give which attempt at its step a run is; the first is 1."""
    return _whole(run.tags.get(ATTEMPT_TAG)) or 1


def _attempts(runs: Iterable[Run]) -> dict[str, tuple[Attempt, ...]]:
    found: dict[str, list[Attempt]] = {}
    for run in runs:
        info, tags = run.info, run.tags
        if STEP_TAG in tags:
            took_ms = (info.end_time_ms or info.start_time_ms) - info.start_time_ms
            attempt = Attempt(attempt_of(run), info.run_id, took_ms, tags.get(ERROR_TAG, ""))
            found.setdefault(tags[STEP_TAG], []).append(attempt)
    return {step_id: tuple(attempts) for step_id, attempts in found.items()}


def planned_ids(plan: Mapping[str, Json] | None) -> list[str]:
    """Give the ids of a recorded plan's steps, in its order."""
    return [str(step["id"]) for step in planned_steps(plan) if "id" in step]


def planned_steps(plan: Mapping[str, Json] | None) -> list[dict[str, Json]]:
    """Give a recorded plan's steps; none if there is no plan, or it is not of flowrun's making."""
    steps = (plan or {}).get("steps")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _source(tags: Mapping[str, str]) -> RecordedSource:
    return RecordedSource(
        uri=tags.get("mlflow.source.name", ""),
        repo_url=tags.get("mlflow.source.git.repoURL"),
        commit=tags.get("mlflow.source.git.commit"),
        tree=tags.get("flowrun.source.tree"),
        subdir=tags.get("flowrun.source.subdir", ""),
        ref=tags.get("flowrun.source.ref"),
        branch=tags.get("mlflow.source.git.branch"),
        is_dirty=tags.get("mlflow.source.git.dirty") == "true",
        commit_time_s=_whole(tags.get("flowrun.source.commit_time_s")),
        is_in_place=tags.get("flowrun.in_place") == "true",
    )


def _outcome(row: StepRow) -> RecordedOutcome:
    return RecordedOutcome(row.status, row.run_id, row.detail, row.reused_from, row.why)


def _contents(tags: Mapping[str, str], prefix: str) -> dict[str, RecordedContent]:
    found: dict[str, RecordedContent] = {}
    for name, text in _prefixed(tags, prefix).items():
        try:
            data = json.loads(text)
            sha256 = str(data["sha256"])
            if _SHA256.fullmatch(sha256):
                found[name] = RecordedContent(str(data["uri"]), sha256, int(data["size_bytes"]))
        except (ValueError, TypeError, KeyError):
            continue  # cut or overwritten by somebody: the fact is lost
    return found


def _prefixed(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {k.removeprefix(prefix): v for k, v in tags.items() if k.startswith(prefix)}


def _json(artifacts: Artifacts, kept: set[str], path: str) -> dict[str, Json] | None:
    text = _text(artifacts, kept, path)
    try:
        data = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _text(artifacts: Artifacts, kept: set[str], path: str) -> str | None:
    return _read(artifacts, path) if path in kept else None


def _read(artifacts: Artifacts, path: str) -> str:
    with artifacts.open(path) as file:
        return file.read().decode("utf-8", "surrogateescape")


def _whole(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
