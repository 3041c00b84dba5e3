"""What runs in the image of a model: the server at port 8080, and the image's own health check.

    python -m flowrun.serving.container [serve|ping]

SageMaker starts `serve`, asks `/ping` and sends to `/invocations`. Variables:
MLFLOW_MODELS_WORKERS, MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT, SAGEMAKER_BIND_TO_PORT, and
FLOWRUN_SERVING_TOKEN, which callers must show then.

Source: Amazon SageMaker, "Custom inference code with hosting services".
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import flowrun
from flowrun.errors import FlowrunError, UsageError
from flowrun.models.loading import Found
from flowrun.models.mlmodel import read_mlmodel
from flowrun.server.access import Access
from flowrun.server.serve import listen
from flowrun.serving.fetch import check_loadable, predicts_row_by_row
from flowrun.serving.pool import PoolOptions
from flowrun.serving.serve import ServeOptions, serve_model
from flowrun.serving.worker import Launch
from flowrun.settings import load_settings

MODEL = Path("/opt/ml/model")
PYTHON = Path("/opt/model/bin/python")
PORT = "8080"
_PING_TIMEOUT_S = 4


def main() -> None:
    """Do what the command line says; the exit code is 2 for wrong input, 1 for no answer."""
    # The first process of a container has no default end by SIGTERM; a model may take long to load.
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(run(sys.argv[1:], load_settings().variables))
    except FlowrunError as error:
        sys.stderr.write(f"flowrun: {error}\n")
        sys.exit(2)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


def run(words: Sequence[str], variables: Mapping[str, str]) -> int:
    """Serve until SIGTERM, or ask a server that runs whether it is well; give the exit code.

    Raises:
        FlowrunError: the model can't be served.
    """
    port = _number(variables, "SAGEMAKER_BIND_TO_PORT", PORT)
    match words:
        case [] | ["serve"]:
            _serve(port, variables)
            return 0
        case ["ping"]:
            return 0 if _answers(port) else 1
        case _:
            raise UsageError(f"this image is started with 'serve', not '{' '.join(words)}'")


def _serve(port: int, variables: Mapping[str, str]) -> None:
    found = Found(MODEL, read_mlmodel(MODEL))
    check_loadable(found)
    launch = Launch(PYTHON, MODEL, Path("/"), _variables(variables))
    pool = PoolOptions(
        workers=_number(variables, "MLFLOW_MODELS_WORKERS", "1"),
        timeout_s=_number(variables, "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "60"),
        together=predicts_row_by_row(found),
    )
    # By which names the container is reached, who runs it knows; pages of others may not call.
    access = Access(token=variables.get("FLOWRUN_SERVING_TOKEN") or None, host_patterns=("*",))
    templates = Path(flowrun.__file__).parent / "templates" / "serving"

    def say_ready() -> None:
        sys.stderr.write(f"flowrun serves the model at port {port}\n")

    with listen("0.0.0.0", port) as listener:  # noqa: S104 - a container's own
        options = ServeOptions(pool=pool, access=access)
        serve_model(launch, listener, options, templates, "Model", say_ready)


def _variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Give those of the model's processes: the model's environment is the one in use."""
    path = os.pathsep.join([str(PYTHON.parent), variables.get("PATH", os.defpath)])
    hidden = {"FLOWRUN_SERVING_TOKEN"}
    kept = {name: value for name, value in variables.items() if name not in hidden}
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(PYTHON.parent.parent)}


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PING_TIMEOUT_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _number(variables: Mapping[str, str], name: str, default: str) -> int:
    text = variables.get(name) or default
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{name} is '{text}', which is no number above 0")
    return int(text)


if __name__ == "__main__":
    main()
