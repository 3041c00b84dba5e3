"""The route table: every request the server answers, with the permission it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flowrun.errors import UnsupportedError
from flowrun.server import (
    api_artifacts,
    api_assessments,
    api_experiments,
    api_graphql,
    api_logged_models,
    api_metrics,
    api_model_versions,
    api_otlp,
    api_registry,
    api_releases,
    api_requests,
    api_runs,
    api_system,
    api_traces,
    api_traces_v2,
    api_transfer,
    api_webhooks,
    unserved,
)
from flowrun.server.messages import Call, Handler, Response, Route

_TABLES = (
    api_runs.ROUTES,
    api_artifacts.ROUTES,
    api_transfer.ROUTES,
    api_metrics.ROUTES,
    api_experiments.ROUTES,
    api_logged_models.ROUTES,
    api_registry.ROUTES,
    api_releases.ROUTES,
    api_requests.ROUTES,
    api_model_versions.ROUTES,
    api_webhooks.ROUTES,
    api_system.ROUTES,
    api_graphql.ROUTES,
    api_otlp.ROUTES,
    api_traces.ROUTES,
    api_traces_v2.ROUTES,
    api_assessments.ROUTES,
    unserved.ROUTES,
)


_SYSTEM = frozenset(route.handler for route in api_system.ROUTES)
_NO_PROXY = "This server does not pass artifacts on: it runs with --no-serve-artifacts."
_ONLY_PROXY = (
    "This server passes artifacts on and does nothing else: it runs with --artifacts-only."
)


def served_routes(*, proxies_artifacts: bool, only_artifacts: bool) -> Iterator[Route]:
    """Give each route as a server of this kind answers it.

    Args:
        proxies_artifacts: what lies below `mlflow-artifacts:/` is passed on.
        only_artifacts: nothing else is offered.
    """
    for route in all_routes():
        is_proxy = "/mlflow-artifacts/" in route.path
        if is_proxy and not proxies_artifacts:
            yield replace(route, handler=_refusal(_NO_PROXY), takes_file=True)
        elif only_artifacts and not is_proxy and route.handler not in _SYSTEM:
            yield replace(route, handler=_refusal(_ONLY_PROXY), takes_file=True)
        else:
            yield route


def all_routes() -> Iterator[Route]:
    """Give each route; those below /api a second time below /ajax-api, where browsers look."""
    for table in _TABLES:
        for route in table:
            yield route
            if route.path.startswith("/api/"):
                yield replace(route, path=f"/ajax-api/{route.path.removeprefix('/api/')}")


def _refusal(reason: str) -> Handler:
    def refuse(_: Call) -> Response:
        # 501 as for all that is not offered: clients would repeat MLflow's own 503 for minutes.
        raise UnsupportedError(reason)

    refuse.__doc__ = reason
    return refuse
