"""What the fluent calls of one process share: the server, the runs begun, the metrics on the way.

This file is the exception to the rule that only `cli/settings.py` reads the environment: in a step,
the environment is all there is. The variables are those of MLflow's client.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import threading
from urllib.parse import unquote, urlsplit, urlunsplit

from flowrun.tracking.light_http import Http, TrackingError, authorization
from flowrun.tracking.metric_queue import MetricQueue

TYPE_CHECKING = False  # typing is slow to import, and needed for nothing else
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowrun.tracking.light_run import Run
    from flowrun.tracking.metric_queue import Point

# Whoever asks a process to end kills it after a while, often 10 s.
_KILL_GRACE_S = 5.0


class Session:
    """The server, the stack of active runs, and the queue of metrics; for any thread."""

    def __init__(self) -> None:
        """Begin without a server: it is looked for at the first call."""
        self.lock = threading.RLock()
        self.runs: list[Run] = []
        self.experiment_id: str | None = None
        self._is_step_run_taken = False
        self._uri: str | None = None
        self._http: Http | None = None
        self._metrics: MetricQueue | None = None

    def point_to(self, uri: str) -> None:
        """Speak to another server from now on."""
        self.flush()
        with self.lock:
            if self._http is not None:
                self._http.close()
            self._uri, self._http, self.experiment_id = uri, None, None

    def http(self) -> Http:
        """Give the server."""
        with self.lock:
            if self._http is None:
                self._http = _find_server(self._uri)
            return self._http

    def take_step_run(self) -> str | None:
        """Give the id of the run that the process was started for, the first time only."""
        with self.lock:
            run_id = None if self._is_step_run_taken else step_run_id()
            self._is_step_run_taken = True
            return run_id

    def put_metrics(self, run_id: str, points: Sequence[Mapping[str, object]]) -> None:
        """Hand points over to the background."""
        with self.lock:
            if self._metrics is None:
                self._metrics = MetricQueue(self._send_metrics)
                atexit.register(self._flush_at_exit)
                self._flush_before_kill()
        for point in points:
            self._metrics.put(run_id, json.dumps(point))

    def flush(self) -> None:
        """Wait until all metrics are recorded."""
        if self._metrics is not None:
            self._metrics.flush()

    def _send_metrics(self, run_id: str, points: Sequence[Point]) -> None:
        body = f'{{"run_id": {json.dumps(run_id)}, "metrics": [{", ".join(points)}]}}'
        self.http().call("POST", "runs/log-batch", body)

    def _flush_at_exit(self) -> None:
        """Send the last metrics; a process that loses some must not end as if all were well."""
        try:
            self.flush()
        except TrackingError as error:
            sys.stdout.flush()
            sys.stderr.write(f"flowrun: {error}\n")
            sys.stderr.flush()
            os._exit(1)

    def _flush_before_kill(self) -> None:
        """Send the last metrics also when SIGTERM or SIGHUP ends the process, as schedulers do.

        Only where nobody else decided what these do, and where it can be said: on the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        # By name: with its enums it would take a third of the time of `import flowrun`.
        signal = importlib.import_module("signal")

        def end(number: int, frame: object) -> None:
            del frame
            try:
                if self._metrics is not None:
                    self._metrics.flush(_KILL_GRACE_S)
            except TrackingError as error:
                sys.stderr.write(f"flowrun: {error}\n")
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)


def step_run_id() -> str | None:
    """Give the id of the run that this process was started for, if it is a step."""
    # MLflow's own client, if it was first in this process, has taken its variable away.
    return os.environ.get("MLFLOW_RUN_ID") or os.environ.get("FLOWRUN_RUN_ID") or None


def experiment_of_environment() -> tuple[str | None, str | None]:
    """Give the name and the id of the experiment that the environment names."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME"), os.environ.get("MLFLOW_EXPERIMENT_ID")


def user_name() -> str:
    """Give the name of who runs this process."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def output_file() -> str | None:
    """Give the file for small values that the engine reads after the step."""
    return os.environ.get("FLOWRUN_OUTPUT") or None


def is_pickle_allowed() -> bool:
    """Tell whether models may be loaded by what runs their code: pickles, and code of their own.

    By FLOWRUN_ALLOW_PICKLE, else by MLflow's variable for it; allowed if neither is set.
    """
    said = os.environ.get("FLOWRUN_ALLOW_PICKLE") or os.environ.get(
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
    )
    return not said or said.strip().lower() in ("1", "true", "yes", "on")


def _find_server(uri: str | None) -> Http:
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        url, *credentials = _default_endpoint()
        return Http(str(url), authorization(*credentials))
    parts = urlsplit(uri)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    header = authorization(
        os.environ.get("MLFLOW_TRACKING_TOKEN"),
        user or os.environ.get("MLFLOW_TRACKING_USERNAME"),
        password or os.environ.get("MLFLOW_TRACKING_PASSWORD"),
    )
    _, at, host = parts.netloc.rpartition("@")
    url = urlunsplit((parts.scheme, host, parts.path, "", "")) if at else uri
    return Http(url.rstrip("/"), header)


def _default_endpoint() -> tuple[str, str | None, str | None, str | None]:
    """Let flowrun itself, if it is installed here, serve its default store."""
    try:
        api = importlib.import_module("flowrun.api")
    except ModuleNotFoundError as error:
        if error.name != "flowrun.api":
            raise
        raise TrackingError(
            "no tracking server is known: set MLFLOW_TRACKING_URI or call set_tracking_uri(). "
            "(flowrun itself, with its default store, is not installed in this environment.)"
        ) from None
    endpoint: tuple[str, str | None, str | None, str | None] = api.default_endpoint()
    return endpoint
