"""Writes down what happens: the parent run, a child run for each step, tags, logs, digests.

Everything here goes through the stores' protocols, so it is the same for every store. Tags follow
MLflow's names (`mlflow.*`); flowrun's own are `flowrun.*`. Source of MLflow's: mlflow_tags.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.earlier import (
    FINGERPRINT_TAG,
    MANIFEST_TAG,
    PIPELINE_TAG,
    pipeline_name,
)
from flowrun.engine.cache.elsewhere import DOING_TAG
from flowrun.engine.cache.identity import Identity
from flowrun.engine.cache.reasons import LOCK_FILE, LOCK_TAG
from flowrun.engine.masking import Masker
from flowrun.engine.record.live import ERROR_TAG, PARENT_TAG, SESSION_TAG, Session
from flowrun.engine.record.options_file import OPTIONS_FILE, options_text
from flowrun.engine.record.outcome import OUTCOME_FILE, StepRow, outcome_text
from flowrun.engine.record.pulse import ALIVE_TAG, CANCEL_TAG, HOST_TAG, PID_TAG
from flowrun.engine.request import ProjectCode, RunRequest
from flowrun.engine.services import Services
from flowrun.envs.base import Env, ImageEnv
from flowrun.envs.published import key_of
from flowrun.executors.base import JobEnded
from flowrun.plan.draw import plan_to_text
from flowrun.plan.plan import Plan, PlannedStep
from flowrun.sources.keeping import kept_pack
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Metric, Run, RunStatus
from flowrun.tracking.limits import (
    MAX_ENTITIES_PER_BATCH,
    MAX_PARAM_VALUE_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VALUE_LENGTH,
)
from flowrun.version import __version__

PLAN_FILE = "flowrun/plan.json"
LOCKS_FOLDER = "flowrun/environments"
EXIT_CODE_TAG = "flowrun.exit_code"
"""Of a command; on a pipeline that did not go well what `flowrun run` gave."""
T = TypeVar("T")

ATTEMPT_TAG = "flowrun.attempt"
"""On a step's run, if it may have several: which attempt it is; the last one stands."""
PENDING_TAG = "flowrun.pending"
"""What waits for an approval: on a step's run the request's number, on a pipeline's in words."""
DECLINED_TAG = "flowrun.declined"
"""Why a step did nothing after all, though it had begun."""
OF_AN_END = frozenset({ERROR_TAG, CANCEL_TAG, EXIT_CODE_TAG, PENDING_TAG, "flowrun.signal"})
"""What a run says of its end, which a run that is gone on with has no more."""
RESUMED_TAG = "flowrun.resumed"
"""How often a run was gone on with."""
TREES = "flowrun/trees"
"""The folder of an artifact that holds trees, as git packs."""
_METRICS_PER_BATCH = MAX_ENTITIES_PER_BATCH - 2 * MAX_PARAMS_TAGS_PER_BATCH
"""So many have room beside as many params and tags as there may be."""


@dataclass(slots=True)
class StepRecord:
    """The run of one step while it is being written."""

    run: Run
    artifacts: Artifacts
    tags: dict[str, str] = field(default_factory=dict)
    """What is known of the run since its command ended and not written yet: each write may be a
    call over the network."""

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.run.info.run_id


class Recorder:
    """Records one run of a plan. Its methods are called from any thread."""

    def __init__(
        self, services: Services, request: RunRequest, session: Session, mask: Masker
    ) -> None:
        self._services = services
        self._mask = mask
        self._request = request
        self._session = session
        self._store = services.tracking
        self._parent: StepRecord | None = None
        self.over: Callable[[PlannedStep], Mapping[str, str]] = lambda _: {}
        """Gives what puts a step's run below another one than the pipeline's."""
        self._keeping = threading.Lock()
        self._kept: set[str] = set()

    @property
    def parent_run_id(self) -> str | None:
        """The pipeline's run; None for a single command, whose only run is its step's."""
        return self._parent.run_id if self._parent else None

    def begin_pipeline(self) -> Run:
        """Make the parent run, with the plan and the project file as its artifacts."""
        request, plan = self._request, self._request.plan
        run = self._begin(
            request.projects[""],
            request.options.run_name,
            {
                "mlflow.project.entryPoint": plan.entry_point,
                PIPELINE_TAG: pipeline_name(request),
                PID_TAG: str(self._session.pid),
            },
            self._shown(plan.params),
            run_id=request.options.run_id,
        )
        self._parent = StepRecord(run, self._services.open_artifacts(run.info.artifact_uri))
        self._put_request(self._parent.artifacts)
        return run

    def begin_step(
        self,
        step: PlannedStep,
        params: Mapping[str, object],
        kind: str,
        attempt: int,
        doing: str | None = None,
    ) -> StepRecord:
        """Make the run of an attempt at a step whose parameters are known now.

        Args:
            step: the step.
            params: their values.
            kind: what it is: `command`, `select`, `register` or `promote`.
            attempt: counted from 1.
            doing: its fingerprint, for others who would do the same; None if it has none.
        """
        code = self._request.projects[step.project]
        is_alone = self._parent is None and not self._request.plan.is_pipeline
        tags = {"flowrun.step": step.id, "flowrun.step.kind": kind}
        if doing is not None:
            tags[DOING_TAG] = doing
        if attempt > 1 or step.attempts.retries:
            tags[ATTEMPT_TAG] = str(attempt)
        if self._parent is not None:
            tags[PARENT_TAG] = self._parent.run_id
            tags |= self.over(step)
        else:
            tags[PID_TAG] = str(self._session.pid)
        entry_point = getattr(step.action, "entry_point", None) or step.name
        tags["mlflow.project.entryPoint"] = entry_point
        run = self._begin(
            code,
            self._request.options.run_name if is_alone else step.id,
            tags,
            self._shown(params) if is_alone else {k: str(v) for k, v in params.items()},
            run_id=self._request.options.run_id if is_alone else None,
        )
        record = StepRecord(run, self._services.open_artifacts(run.info.artifact_uri))
        if is_alone:
            self._put_request(record.artifacts)
        return record

    def note_env(self, record: StepRecord, env: Env) -> None:
        """Keep the environment's lock: a pipeline's run has each of its steps' locks once."""
        tags = {"flowrun.env.backend": env.backend}
        if env.key:
            tags["flowrun.env.key"] = env.key
        if env.backend != "local":
            tags["mlflow.project.env"] = env.backend
        if isinstance(env, ImageEnv):
            tags["mlflow.docker.image.uri"] = env.name
            tags["mlflow.docker.image.id"] = env.image_id
        if self._parent is None:
            self._put_text(record.artifacts, LOCK_FILE, env.lock)
        else:
            path = self._kept_with(self._parent, self._mask(env.lock))
            tags[LOCK_TAG] = f"runs:/{self._parent.run_id}/{path}"
        self._log(record.run_id, tags=tags)

    def _kept_with(self, parent: StepRecord, lock: str) -> str:
        """Put a lock beside the others of the pipeline, if it is not there yet; give its path."""
        path = f"{LOCKS_FOLDER}/{key_of(lock)}.lock"
        with self._keeping:
            if path not in self._kept:
                self._put_text(parent.artifacts, path, lock)
                self._kept.add(path)
        return path

    def note_command(self, record: StepRecord, command: str, job: JobEnded, logs: Path) -> None:
        """Keep what ran, how it ended, what it took and what it printed."""
        for path in sorted(logs.iterdir()):
            record.artifacts.put_file(path, f"logs/{path.name}")
        tags = {"flowrun.command": command}
        if job.exit_code is not None:
            tags[EXIT_CODE_TAG] = str(job.exit_code)
        if job.signal is not None:
            tags["flowrun.signal"] = str(job.signal)
        if job.usage is not None:
            tags["flowrun.peak_memory_bytes"] = str(job.usage.peak_memory_bytes)
            tags["flowrun.cpu_time_s"] = f"{job.usage.cpu_time_s:.3f}"
        record.tags |= tags

    def note_inputs(self, record: StepRecord, inputs: Mapping[str, tuple[str, Digest]]) -> None:
        """Keep the digest of each `path` input, and where it came from."""
        tags = {
            f"flowrun.input.{name}": json.dumps(
                {"uri": uri, "sha256": digest.sha256, "size_bytes": digest.size_bytes}
            )
            for name, (uri, digest) in inputs.items()
        }
        record.tags |= tags

    def note_outputs(
        self,
        record: StepRecord,
        outputs: Mapping[str, tuple[str, Digest]],
        metrics: Mapping[str, float],
        values: Mapping[str, str],
        identity: Identity | None,
    ) -> None:
        """Keep outputs with their digests, numbers from the metrics file, and small values.

        With them what the step was: from here on others may use what it left, once it is FINISHED.
        """
        now_ms = self._services.now()
        tags = {
            f"flowrun.output.{name}": json.dumps(
                {"uri": uri, "sha256": digest.sha256, "size_bytes": digest.size_bytes}
            )
            for name, (uri, digest) in outputs.items()
        }
        tags |= {f"flowrun.value.{name}": value for name, value in values.items()}
        if identity is not None:
            tags[FINGERPRINT_TAG] = identity.fingerprint
            tags[MANIFEST_TAG] = identity.manifest.text
        points = [Metric(key, value, now_ms, 0) for key, value in metrics.items()]
        self._log(record.run_id, metrics=points, tags=record.tags | tags)
        record.tags.clear()  # if they can't be written, `end` tries again without the metrics

    def end(self, record: StepRecord, status: RunStatus, error: str = "") -> Run:
        """Give a run its final status and the reason for a bad one; return it as it is then."""
        run_id = record.run_id
        self._log(run_id, tags=record.tags | ({ERROR_TAG: error} if error else {}))
        # The clock may have been set back meanwhile.
        end_ms = max(self._services.now(), record.run.info.start_time_ms)
        self._store.update_run(run_id, status=status, end_time_ms=end_ms)
        return self._store.get_run(run_id)

    def end_pipeline(self, status: RunStatus, error: str, exit_code: int) -> None:
        """Give the pipeline's run its final status, and unless all is well flowrun's exit code."""
        if self._parent is not None:
            if exit_code:
                self._parent.tags[EXIT_CODE_TAG] = str(exit_code)
            self.end(self._parent, status, error)

    def note_metrics(self, record: StepRecord, metrics: Mapping[str, float]) -> None:
        """Log what the steps of a trial came to."""
        now_ms = self._services.now()
        points = [Metric(key, value, now_ms, 0) for key, value in metrics.items()]
        self._log(record.run_id, metrics=points)

    def note_pipeline(self, tags: Mapping[str, str]) -> None:
        """Give the pipeline's run more tags."""
        if self._parent is not None:
            self._log(self._parent.run_id, tags=tags)

    def put_file(self, path: str, text: str) -> None:
        """Keep a file with the pipeline's run, in place of what it was."""
        if self._parent is not None:
            self._put_text(self._parent.artifacts, path, text)

    def put_plan(self, plan: Plan) -> None:
        """Keep a plan that has grown, in place of what it was at first."""
        if self._parent is not None:
            self._put_text(self._parent.artifacts, PLAN_FILE, plan_to_text(plan))

    def put_outcome(self, rows: Mapping[str, StepRow]) -> None:
        """Keep how each step of a pipeline is, with the parent run."""
        if self._parent is not None:
            self._put_text(self._parent.artifacts, OUTCOME_FILE, outcome_text(rows))

    def _begin(
        self,
        code: ProjectCode,
        run_name: str | None,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        *,
        run_id: str | None,
    ) -> Run:
        more = self._request.options.tags
        tags = {**self._source_tags(code), **tags, **more, SESSION_TAG: self._session.id}
        if run_id is None:
            return self._store.create_run(
                self._request.options.experiment_id,
                user_id=self._services.user,
                run_name=run_name,
                start_time_ms=self._services.now(),
                tags=self._masked(tags, MAX_TAG_VALUE_LENGTH),
                params=self._masked(params, MAX_PARAM_VALUE_LENGTH),
            )
        if self._request.options.resumed is not None:
            tags, params = self._resumed_tags(run_id, tags), {}
        # with the session first: if flowrun is killed now, the next one closes the run
        self._log(run_id, params=params, tags=tags)
        for tag in OF_AN_END & self._store.get_run(run_id).tags.keys():
            self._store.delete_tag(run_id, tag)
        self._store.update_run(run_id, status=RunStatus.RUNNING, run_name=run_name)
        return self._store.get_run(run_id)

    def _resumed_tags(self, run_id: str, tags: Mapping[str, str]) -> dict[str, str]:
        """Give the tags that change when a run is gone on with: who made it, stays."""
        times = self._store.get_run(run_id).tags.get(RESUMED_TAG, "")
        changing = (SESSION_TAG, PID_TAG, ATTEMPT_TAG, "flowrun.host", "flowrun.version")
        return {
            **{key: tags[key] for key in changing if key in tags},
            ALIVE_TAG: str(self._services.now()),
            RESUMED_TAG: str(int(times) + 1 if times.isdecimal() else 1),
        }

    def _log(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log any number of things, in as many batches as MLflow's limits make of them."""
        shown = list(self._masked(params or {}, MAX_PARAM_VALUE_LENGTH).items())
        told = list(self._masked(tags or {}, MAX_TAG_VALUE_LENGTH).items())
        for points, some, others in zip_longest(
            _batches(metrics, _METRICS_PER_BATCH),
            _batches(shown, MAX_PARAMS_TAGS_PER_BATCH),
            _batches(told, MAX_PARAMS_TAGS_PER_BATCH),
            fillvalue=(),
        ):
            self._store.log_batch(run_id, metrics=points, params=dict(some), tags=dict(others))

    def _masked(self, texts: Mapping[str, str], limit: int) -> dict[str, str]:
        """Mask secrets, then cut: half a secret would be found by nobody."""
        return {name: self._mask(text)[:limit] for name, text in texts.items()}

    def _source_tags(self, code: ProjectCode) -> dict[str, str]:
        source, options = code.source, self._request.options
        tags = {
            "mlflow.user": self._services.user,
            "mlflow.source.type": "PROJECT",
            "mlflow.source.name": source.uri,
            "mlflow.project.backend": "local",
            "flowrun.version": __version__,
            HOST_TAG: self._session.host,
            "flowrun.source.tree": source.tree,
        }
        optional = {
            "mlflow.source.git.commit": source.commit,
            "mlflow.source.git.repoURL": source.repo_url,
            "mlflow.source.git.branch": source.branch,
            "flowrun.source.ref": source.ref,
            "flowrun.source.subdir": source.subdir or None,
            "flowrun.source.commit_time_s": _text(source.commit_time_s),
            "mlflow.source.git.dirty": "true" if source.is_dirty else None,
            "flowrun.in_place": "true" if options.in_place else None,
            "flowrun.build_image": "true" if options.build_image else None,
            "flowrun.docker_args": json.dumps(options.docker_args) if options.docker_args else None,
        }
        return tags | {key: value for key, value in optional.items() if value is not None}

    def _put_request(self, artifacts: Artifacts) -> None:
        """Keep the plan, and what makes each project's tree again where nobody else has it."""
        request = self._request
        self._put_text(artifacts, PLAN_FILE, plan_to_text(request.plan))
        asked = options_text(request.options)
        if asked is not None:
            self._put_text(artifacts, OPTIONS_FILE, asked)
        if request.options.project_file is not None:
            self._put_text(artifacts, "flowrun/MLproject", request.options.project_file)
        diff = request.projects[""].source.diff
        if diff is not None:
            self._put_text(artifacts, "flowrun/source.diff", diff)
        for source in {
            code.source.tree: code.source for code in request.projects.values()
        }.values():
            pack = kept_pack(source, self._services.sources)
            if pack is not None:
                artifacts.put_file(pack, f"{TREES}/{source.tree}.pack")

    def _put_text(self, artifacts: Artifacts, path: str, text: str) -> None:
        artifacts.put_bytes(path, self._mask(text).encode("utf-8", "surrogateescape"))

    def _shown(self, params: Mapping[str, object]) -> dict[str, str]:
        given = self._request.shown_params
        return {name: given.get(name, str(value)) for name, value in params.items()}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
