"""What MLflow's server has and this one has not: asked for, it is refused in plain words.

The answer is 501 NOT_IMPLEMENTED, which MLflow's client neither retries nor takes for a wrong
address.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.errors import UnsupportedError
from flowrun.server.messages import ANY_METHOD, Call, Handler, Permission, Response, Route

AREAS = {
    "statistics of traces": ("/api/3.0/mlflow/traces/metrics",),
    "traces in inference tables": ("/api/2.0/mlflow/get-online-trace-details",),
    "issues": ("/api/3.0/mlflow/issues",),
    "evaluation datasets": ("/api/3.0/mlflow/datasets",),
    "label schemas": ("/api/3.0/mlflow/label-schemas",),
    "review queues": ("/api/3.0/mlflow/review-queues",),
    "scorers": ("/api/3.0/mlflow/scorers", "/ajax-api/3.0/mlflow/scorer"),
    "prompt optimization": ("/api/3.0/mlflow/prompt-optimization",),
    "workspaces": ("/api/3.0/mlflow/workspaces",),
    "the AI gateway": (
        "/gateway",
        "/api/3.0/mlflow/gateway",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/ajax-api/2.0/mlflow/runs/create-promptlab-run",
    ),
    "jobs of MLflow's user interface": (
        "/graphql",
        "/ajax-api/3.0/jobs",
        "/ajax-api/3.0/mlflow/assistant",
        "/ajax-api/3.0/mlflow/demo",
        "/ajax-api/3.0/mlflow/genai",
        "/ajax-api/3.0/mlflow/jobs",
        "/ajax-api/3.0/mlflow/ui-telemetry",
    ),
}
"""What is missing, and the paths at and below which it would be."""


def _refusal(area: str) -> Handler:
    def refuse(_: Call) -> Response:
        raise UnsupportedError(f"This server does not offer {area}.")

    refuse.__doc__ = f"Not offered: {area}."
    return refuse


def _routes() -> Iterator[Route]:
    for area, paths in AREAS.items():
        for path in paths:
            for shape in (path, f"{path}/{{rest...}}"):
                yield Route(ANY_METHOD, shape, Permission.READ, _refusal(area), takes_file=True)


ROUTES = tuple(_routes())
