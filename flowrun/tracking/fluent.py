"""`import flowrun` in a script: start_run, log_param, log_metric, ... as in MLflow's fluent API.

The light client: see `light_http.py` for what that means. It speaks to the server that
MLFLOW_TRACKING_URI names, and in a step logs into the step's own run. Outside of steps, without
that variable, it speaks to flowrun's default store.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import sys
import time

from flowrun.tracking.light_artifacts import ArtifactFolder
from flowrun.tracking.light_http import TrackingError
from flowrun.tracking.light_run import Run
from flowrun.tracking.light_session import (
    Session,
    experiment_of_environment,
    output_file,
    step_run_id,
    user_name,
)

TYPE_CHECKING = False  # typing is slow to import, and needed for nothing else
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, BinaryIO, Protocol

    class Figure(Protocol):
        """What can save itself as a picture, such as a figure of matplotlib or plotly."""

        def savefig(self, file: BinaryIO, *, format: str) -> object:  # noqa: A002 - theirs
            """Write the picture."""

    class Image(Protocol):
        """What can save itself as a picture, such as an image of Pillow."""

        def save(self, file: BinaryIO, *, format: str) -> object:  # noqa: A002 - theirs
            """Write the picture."""


_PAGE = 1000
_TAGS_OF_A_CALL = 100  # MLflow's limit, for params too


class ActiveRun(Run):
    """The run that calls log to; as a context manager it ends the run, FAILED on an exception."""

    def __enter__(self) -> ActiveRun:
        """Give the run itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the run."""
        end_run("FINISHED" if kind is None else "FAILED")


# The fluent calls have no object to hang on, so what they share is the module's.
_session = Session()


def set_tracking_uri(uri: str) -> None:
    """Speak to the server at this URL from now on; user and password may be in it."""
    _session.point_to(uri)


def get_tracking_uri() -> str:
    """Give the URL of the server that calls go to."""
    return _session.http().url


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> str:
    """Let new runs belong to this experiment, made if there is none; gives its id."""
    if (experiment_name is None) == (experiment_id is None):
        raise TrackingError("set_experiment takes an experiment's name or its id, one of the two")
    _session.experiment_id = experiment_id or _experiment_by_name(str(experiment_name))
    return _session.experiment_id


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,  # noqa: FBT001, FBT002 - as in MLflow
    tags: Mapping[str, object] | None = None,
    description: str | None = None,
) -> ActiveRun:
    """Begin a run, or go on with one, and make it the active one.

    Args:
        run_id: go on with this run; in a step the first call goes on with the step's own.
        experiment_id: where a new run belongs.
        run_name: of a new run; a random one if not given.
        nested: begin a child of the active run; without this there must be no active one.
        tags: set on the run.
        description: shown with the run, in Markdown.
    """
    parent = _session.runs[-1] if _session.runs else None
    if parent is not None and not nested:
        raise TrackingError(
            f"run {parent.info.run_id} is still active: end it with flowrun.end_run(), "
            "or begin a child with start_run(nested=True)"
        )
    wanted = {key: str(value) for key, value in (tags or {}).items()}
    if description:
        wanted["mlflow.note.content"] = description
    run_id = run_id or _session.take_step_run()
    if run_id:
        run = _continue(run_id, wanted)
    else:
        if parent is not None:
            wanted["mlflow.parentRunId"] = parent.info.run_id
        run = _create(experiment_id or experiment_of_new_runs(), run_name, wanted)
    _session.runs.append(run)
    return run


def active_run() -> Run | None:
    """Give the active run, or None."""
    return _session.runs[-1] if _session.runs else None


def end_run(status: str = "FINISHED") -> None:
    """End the active run, once its metrics are recorded; without one, do nothing."""
    if not _session.runs:
        return
    run = _session.runs.pop()
    try:
        _session.flush()
    finally:
        _post("runs/update", run_id=run.info.run_id, status=status, end_time=_now_ms())


def log_param(key: str, value: object) -> None:
    """Record a param; it can't be changed afterwards."""
    log_params({key: value})


def log_params(params: Mapping[str, object]) -> None:
    """Record params, all or none."""
    run_id = _current_run().info.run_id
    pairs = [{"key": key, "value": str(value)} for key, value in params.items()]
    for start in range(0, len(pairs), _TAGS_OF_A_CALL):
        _post("runs/log-batch", run_id=run_id, params=pairs[start : start + _TAGS_OF_A_CALL])


def log_metric(
    key: str, value: float, step: int | None = None, timestamp: int | None = None
) -> None:
    """Record one point of a metric, in the background.

    Args:
        key: the metric's name.
        value: a number, also nan or infinite.
        step: of the training; 0 if not given.
        timestamp: in ms since the Unix epoch; now if not given.

    Raises:
        TrackingError: an earlier point could not be recorded.
    """
    log_metrics({key: value}, step, timestamp)


def log_metrics(
    metrics: Mapping[str, float], step: int | None = None, timestamp: int | None = None
) -> None:
    """Record a point of each of several metrics; see `log_metric`."""
    time_ms = _now_ms() if timestamp is None else int(timestamp)
    points: list[dict[str, object]] = [
        {"key": key, "value": float(value), "timestamp": time_ms, "step": int(step or 0)}
        for key, value in metrics.items()
    ]
    _session.put_metrics(_current_run().info.run_id, points)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run."""
    set_tags({key: value})


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags of the active run, all or none."""
    _set_tags(_current_run().info.run_id, {key: str(value) for key, value in tags.items()})


def log_artifact(local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Store a file, or a folder with all in it, among the run's artifacts.

    Args:
        local_path: what to store; it keeps its name.
        artifact_path: the folder to put it in.
    """
    path = os.path.normpath(os.fspath(local_path))
    name = os.path.basename(path)
    inside = f"{artifact_path}/{name}" if artifact_path else name
    if os.path.isdir(path):
        _artifacts().put_folder(path, inside)
    else:
        _artifacts().put_file(path, inside)


def log_artifacts(local_dir: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Store all that is in a folder among the run's artifacts."""
    root = os.fspath(local_dir)
    if not os.path.isdir(root):
        raise TrackingError(f"log_artifacts: there is no folder '{root}'")
    _artifacts().put_folder(root, artifact_path or "")


def log_text(text: str, artifact_file: str) -> None:
    """Store a text as an artifact, in UTF-8."""
    _artifacts().put_bytes(text.encode(), artifact_file)


def log_dict(dictionary: object, artifact_file: str) -> None:
    """Store what JSON can spell as an artifact; JSON is YAML too, should the name say so."""
    log_text(json.dumps(dictionary, indent=2, default=str), artifact_file)


def log_figure(figure: Figure, artifact_file: str) -> None:
    """Store a figure as a picture in the format that the name's ending says."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=_ending(artifact_file))
    _artifacts().put_bytes(buffer.getvalue(), artifact_file)


def log_image(image: Image, artifact_file: str) -> None:
    """Store an image as a picture in the format that the name's ending says."""
    buffer = io.BytesIO()
    ending = _ending(artifact_file)
    image.save(buffer, format="jpeg" if ending == "jpg" else ending)
    _artifacts().put_bytes(buffer.getvalue(), artifact_file)


def get_run(run_id: str) -> Run:
    """Give a run with all that was logged to it so far."""
    _session.flush()
    return Run(_session.http().call("GET", "runs/get", query={"run_id": run_id})["run"])


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    order_by: Sequence[str] = (),
    max_results: int = 100_000,
    experiment_names: Sequence[str] = (),
) -> list[Run]:
    """Find runs by MLflow's filter language; without experiments, in the one of new runs."""
    _session.flush()
    ids = [*(experiment_ids or ()), *map(_experiment_by_name, experiment_names)]
    found: list[Run] = []
    token = ""
    while len(found) < max_results:
        page = _post(
            "runs/search",
            experiment_ids=ids or [experiment_of_new_runs()],
            filter=filter_string,
            order_by=list(order_by),
            max_results=min(_PAGE, max_results - len(found)),
            page_token=token,
        )
        found.extend(Run(run) for run in page.get("runs", ()))
        token = page.get("next_page_token", "")
        if not token:
            break
    return found


def set_output(name: str, value: object) -> None:
    """Hand a small value to the steps that depend on this one.

    It is appended to the file that $FLOWRUN_OUTPUT names, as a line `name=value`. The value is
    JSON, but for a text that needs none: printable, on one line, not beginning with a quote.
    """
    path = output_file()
    if not path:
        raise TrackingError(
            f"set_output('{name}'): this process is no step of flowrun ($FLOWRUN_OUTPUT is not set)"
        )
    if not name or any(character in name for character in "=\r\n"):
        raise TrackingError(f"set_output: an output's name can't be {name!r}")
    is_plain = isinstance(value, str) and not value.startswith('"') and value.isprintable()
    line = f"{name}={value if is_plain else json.dumps(value)}\n"
    with open(path, "a", encoding="utf-8") as file:
        file.write(line)


def current_session() -> Session:
    """Give what the calls of this process share, for the parts of the client beside this one."""
    return _session


def run_in_progress() -> Run | None:
    """Give the active run, in a step its own; None if there is neither."""
    with _session.lock:
        if not _session.runs and not step_run_id():
            return None
        return _current_run()


def experiment_of_new_runs() -> str:
    """Give the id of the experiment that new runs belong to, which is made if there is none."""
    if _session.experiment_id is None:
        name, experiment_id = experiment_of_environment()
        _session.experiment_id = _experiment_by_name(name) if name else experiment_id or "0"
    return _session.experiment_id


def _current_run() -> Run:
    """Give the active run; without one, the step's own or a new one is begun."""
    with _session.lock:
        if not _session.runs:
            atexit.register(_end_at_exit, start_run().info.run_id)
        return _session.runs[-1]


def _end_at_exit(run_id: str) -> None:
    """End a run that no call of `start_run` began; a step's own is the engine's to end."""
    is_active = bool(_session.runs) and _session.runs[-1].info.run_id == run_id
    if is_active and run_id != step_run_id():
        # Python leaves the exception that ended the script here.
        end_run("FAILED" if getattr(sys, "last_value", None) else "FINISHED")


def _artifacts() -> ArtifactFolder:
    return ArtifactFolder(_session.http(), _current_run().info.artifact_uri)


def _experiment_by_name(name: str) -> str:
    query = {"experiment_name": name}
    try:
        found = _session.http().call("GET", "experiments/get-by-name", query=query)
    except TrackingError as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return str(_post("experiments/create", name=name)["experiment_id"])
    return str(found["experiment"]["experiment_id"])


def _create(experiment_id: str, run_name: str | None, tags: Mapping[str, str]) -> ActiveRun:
    user = user_name()
    own = {
        "mlflow.user": user,
        "mlflow.source.name": sys.argv[0] if sys.argv else "",
        "mlflow.source.type": "LOCAL",
    }
    answer = _post(
        "runs/create",
        experiment_id=experiment_id,
        user_id=user,
        run_name=run_name,
        start_time=_now_ms(),
        tags=_pairs({**own, **tags}),
    )
    return ActiveRun(answer["run"])


def _continue(run_id: str, tags: Mapping[str, str]) -> ActiveRun:
    run = _session.http().call("GET", "runs/get", query={"run_id": run_id})["run"]
    if run["info"].get("status") != "RUNNING":
        run["info"] = _post("runs/update", run_id=run_id, status="RUNNING")["run_info"]
    if tags:
        _set_tags(run_id, tags)
    return ActiveRun(run)


def _set_tags(run_id: str, tags: Mapping[str, str]) -> None:
    pairs = _pairs(tags)
    for start in range(0, len(pairs), _TAGS_OF_A_CALL):
        _post("runs/log-batch", run_id=run_id, tags=pairs[start : start + _TAGS_OF_A_CALL])


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lstrip(".").lower() or "png"


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _post(path: str, **body: object) -> dict[str, Any]:
    return _session.http().call("POST", path, body)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
