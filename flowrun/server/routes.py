"""The route table: every request the server answers, with the permission it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flowrun.server import (
    api_artifacts,
    api_experiments,
    api_logged_models,
    api_metrics,
    api_model_versions,
    api_registry,
    api_releases,
    api_runs,
    api_system,
    api_webhooks,
    unserved,
)
from flowrun.server.messages import Route

_TABLES = (
    api_runs.ROUTES,
    api_artifacts.ROUTES,
    api_metrics.ROUTES,
    api_experiments.ROUTES,
    api_logged_models.ROUTES,
    api_registry.ROUTES,
    api_releases.ROUTES,
    api_model_versions.ROUTES,
    api_webhooks.ROUTES,
    api_system.ROUTES,
    unserved.ROUTES,
)


def all_routes() -> Iterator[Route]:
    """Give each route; those below /api a second time below /ajax-api, where browsers look."""
    for table in _TABLES:
        for route in table:
            yield route
            if route.path.startswith("/api/"):
                yield replace(route, path=f"/ajax-api/{route.path.removeprefix('/api/')}")
