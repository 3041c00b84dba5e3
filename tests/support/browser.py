"""A real browser, and what it saw of a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WIDTH, HEIGHT = 1200, 900


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """Start Chromium without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@dataclass
class Seen:
    """An open page, and what it did by itself."""

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """Of the console: what the policy forbade, and errors."""


@contextmanager
def opened_file(browser: Browser, path: Path, *, is_dark: bool = False) -> Iterator[Seen]:
    """Open a file as people do."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if is_dark else "light"
    )
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.messages.append(message.text))
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.goto(path.as_uri())
    yield seen
    page.close()
