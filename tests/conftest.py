"""What holds for all tests: no use of the home folder; in CI a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.docker import TestEngine, docker_engine
from tests.support.genuine import Genuine, genuine_server
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.space import Space


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the crash test be run longer, and at other moments."""
    parser.addoption("--kills", default="8", help="how often test_killed kills flowrun")
    parser.addoption("--seed", default="1", help="which moments it takes")


@pytest.fixture(scope="session", autouse=True)
def _no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make any use of the home folder fail: `~` is a file. uv keeps its cache of downloads."""
    with pytest.MonkeyPatch.context() as patch:
        cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
        home = tmp_path_factory.mktemp("home") / "not-a-folder"
        home.write_text("tests must not use the home folder\n")
        patch.setenv("HOME", str(home))
        patch.setenv("UV_CACHE_DIR", cache)
        for name in list(os.environ):
            if name.startswith(("MLFLOW_", "FLOWRUN_", "XDG_")):
                patch.delenv(name)
        yield


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a folder with a flowrun home of its own."""
    return Space(tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Give the PostgreSQL server of this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server to one test, which may stop it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URI of a new store, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'flowrun.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_store()


@pytest.fixture(scope="session")
def docker() -> Iterator[TestEngine]:
    """Give a container engine with a small image in it."""
    with docker_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genuine]:
    """Give MLflow's own server; slow to start, so that one serves all tests."""
    with genuine_server(tmp_path_factory.mktemp("genuine")) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but nothing may be missing here: {report.longrepr}"
    return report
