"""A folder whose flowrun records in each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flowrun import api
from flowrun.settings import Settings
from flowrun.stores import Stores
from tests.support.genuine import Genuine
from tests.support.serving import TOKEN, serving
from tests.support.space import Space


@pytest.fixture(params=["embedded", "flowrun", pytest.param("mlflow", marks=pytest.mark.slow)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Space]:
    """Give a folder whose flowrun records in its own store, and on each kind of server."""
    if request.param == "embedded":
        yield Space(tmp_path)
    elif request.param == "flowrun":
        (tmp_path / "served").mkdir()
        with serving(tmp_path / "served") as served:
            yield Space(
                tmp_path, {"FLOWRUN_TRACKING_URI": served.url, "MLFLOW_TRACKING_TOKEN": TOKEN}
            )
    else:
        genuine: Genuine = request.getfixturevalue("genuine")
        genuine.empty()
        yield Space(tmp_path, {"FLOWRUN_TRACKING_URI": genuine.url})


Open = Callable[[Space], AbstractContextManager[Stores]]


@pytest.fixture
def opened() -> Open:
    """Give what opens the stores that a space records in."""

    def open_stores(space: Space) -> AbstractContextManager[Stores]:
        return api.open_default_stores(settings_of(space))

    return open_stores


def settings_of(space: Space) -> Settings:
    """Give the settings that flowrun has in a space."""
    variables = space.environment()
    return Settings(
        home=space.home,
        tracking_uri=variables.get("FLOWRUN_TRACKING_URI"),
        variables=variables,
        cwd=space.path,
        user="ada",
        is_terminal=False,
    )
