"""Which of MLflow's endpoints are served: what is missing is listed, and the list only shrinks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.server.messages import ANY_METHOD
from flowrun.server.problems import UnknownRouteError, WrongMethodError
from flowrun.server.routes import all_routes
from flowrun.server.table import RouteTable

HERE = Path(__file__).parent
LISTED = set((HERE / "missing_endpoints.txt").read_text().splitlines())
TABLE = RouteTable(all_routes())

pytestmark = pytest.mark.slow


def is_served(method: str, path: str) -> bool:
    try:
        route, _ = TABLE.find(method, re.sub(r"{\w+}", "x", path))
    except (UnknownRouteError, WrongMethodError):
        return False
    return route.method != ANY_METHOD


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("mlflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "scripts" / "endpoints.py"],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = json.loads(done.stdout.splitlines()[-1])
    return [
        (method, path)
        for method, path in rows
        # A twin below /ajax-api is served when the one below /api is.
        if not (path.startswith("/ajax-api/") and [method, path.replace("/ajax-", "/", 1)] in rows)
    ]


def test_every_endpoint_of_mlflow_is_served_or_listed_as_missing(
    endpoints: list[tuple[str, str]],
) -> None:
    missing = {f"{method} {path}" for method, path in endpoints if not is_served(method, path)}
    assert missing - LISTED == set()


def test_no_endpoint_is_listed_as_missing_that_is_served() -> None:
    assert [line for line in sorted(LISTED) if is_served(*line.split(" ", 1))] == []


def test_a_missing_endpoint_is_refused_in_words_and_not_unknown(
    endpoints: list[tuple[str, str]],
) -> None:
    unknown = []
    for method, path in endpoints:
        try:
            TABLE.find(method, re.sub(r"{\w+}", "x", path))
        except (UnknownRouteError, WrongMethodError):
            unknown.append(f"{method} {path}")
    # The browser's pages.
    assert unknown == [
        "GET /",
        "GET /build/{filename}",
        "GET /static-files/{path}",
    ]
