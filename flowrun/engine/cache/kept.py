"""What a finished run of a step left: read back from its record, and checked against the store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.masking import MASK
from flowrun.engine.values import OutputValue
from flowrun.errors import FlowrunError, NotFoundError
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import PlannedStep
from flowrun.spec.project import OutputType
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run
from flowrun.tracking.limits import MAX_TAG_VALUE_LENGTH
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass

OUTPUT_PREFIX = "flowrun.output."
VALUE_PREFIX = "flowrun.value."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODEL = "models:/"


class NotKeptError(FlowrunError):
    """What a run left can't stand for the step any more; the message says why, in a few words."""


class OutputGoneError(NotKeptError):
    """An output is not there any more."""


@valueclass
class Kept:
    """Reads what runs left. Nothing that a store says is believed: anyone may write to it."""

    store: TrackingStore
    open_artifacts: Callable[[str], Artifacts]
    memo: DigestMemo

    def result_of(
        self, step: PlannedStep, run: Run, params: Mapping[str, object], *, may_lack: bool = False
    ) -> StepResult:
        """Give a finished run's result as that of a step.

        Args:
            step: the step.
            run: the run.
            params: the values of the step's arguments.
            may_lack: a temporary output that is gone is no reason against it.

        Raises:
            NotKeptError: an output is gone or is not what it was, or a value was not kept whole.
        """
        outputs: dict[str, object] = dict(_values(run))
        for name, spec in step.outputs.items():
            try:
                outputs[name] = self._output(run, name, is_model=spec.type is OutputType.MODEL)
            except OutputGoneError:
                if not (may_lack and spec.is_temporary):
                    raise
                uri, digest = _recorded(run, name)
                outputs[name] = OutputValue.of(uri, digest, is_model=False, is_gone=True)
        return StepResult(
            step.id,
            "succeeded",
            outputs=outputs,
            metrics={key: metric.value for key, metric in run.metrics.items()},
            params=params,
            run_id=run.info.run_id,
        )

    def _output(self, run: Run, name: str, *, is_model: bool) -> OutputValue:
        uri, digest = _recorded(run, name)
        try:
            artifacts, path = self._place(run, uri)
            local = artifacts.local_path(path)
            if local is not None:
                self._check(local, digest, name, run)
            elif _size_bytes(artifacts, path) != digest.size_bytes:
                raise _changed(name, run)
        except NotFoundError:
            raise OutputGoneError(f"output {name} of run {run.info.run_id} is gone") from None
        except NotKeptError:
            raise
        except (FlowrunError, OSError) as error:
            why = f"output {name} of run {run.info.run_id} can't be looked at: {error}"
            raise NotKeptError(why) from error
        return OutputValue.of(uri, digest, is_model=is_model)

    def _place(self, run: Run, uri: str) -> tuple[Artifacts, str]:
        if uri.startswith(_MODEL):
            model = self.store.get_logged_model(uri.removeprefix(_MODEL))
            return self.open_artifacts(model.artifact_uri), ""
        path = uri.removeprefix(f"runs:/{run.info.run_id}/")
        if path == uri:
            raise NotFoundError(f"no artifact of run {run.info.run_id}: {uri}")
        return self.open_artifacts(run.info.artifact_uri), check_artifact_path(path)

    def _check(self, path: Path, digest: Digest, name: str, run: Run) -> None:
        if self.memo.digest_of(path).sha256 != digest.sha256:
            raise _changed(name, run)


def _values(run: Run) -> dict[str, str]:
    values: dict[str, str] = {}
    for tag, text in run.tags.items():
        if tag.startswith(VALUE_PREFIX):
            name = tag.removeprefix(VALUE_PREFIX)
            if MASK in text or len(text) >= MAX_TAG_VALUE_LENGTH:
                raise NotKeptError(f"value {name} of run {run.info.run_id} was not kept whole")
            values[name] = text
    return values


def _recorded(run: Run, name: str) -> tuple[str, Digest]:
    try:
        recorded = json.loads(run.tags[OUTPUT_PREFIX + name])
        uri, sha256, size = (recorded[key] for key in ("uri", "sha256", "size_bytes"))
    except (KeyError, TypeError, ValueError):
        raise NotKeptError(f"run {run.info.run_id} does not say where output {name} is") from None
    if not isinstance(uri, str) or not isinstance(size, int) or not _SHA256.fullmatch(str(sha256)):
        raise NotKeptError(f"run {run.info.run_id} does not say where output {name} is")
    return uri, Digest(str(sha256), size, is_directory=False)


def _changed(name: str, run: Run) -> NotKeptError:
    return NotKeptError(f"output {name} of run {run.info.run_id} is not what it was")


def _size_bytes(artifacts: Artifacts, path: str) -> int:
    """Give the size of a file or folder that is elsewhere; NotFoundError if there is neither."""
    folder = path.rpartition("/")[0]
    for info in artifacts.list(folder):
        if info.path == path and not info.is_dir:
            return info.size_bytes or 0
    size_bytes, found, waiting = 0, False, [path]
    while waiting:
        for info in artifacts.list(waiting.pop()):
            found = True
            if info.is_dir:
                waiting.append(info.path)
            else:
                size_bytes += info.size_bytes or 0
    if not found:
        raise NotFoundError(f"No such artifact: '{path}'")
    return size_bytes
