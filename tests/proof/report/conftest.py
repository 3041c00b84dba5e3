"""A browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import headless_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give a browser; not for longer than a module, as its event loop is in other tests' way."""
    with headless_browser() as browser:
        yield browser
