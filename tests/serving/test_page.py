"""The page to try a model, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import flowrun.models.flavors.pyfunc as flowrun_pyfunc
from flowrun.models.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from flowrun.models.signature import ModelSignature
from tests.support.browser import HEIGHT, WIDTH, headless_browser
from tests.support.scoring import Scoring, scoring

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=30_000)

HOSTILE = "<script>document.title = 'taken'</script>"
ECHO = """
from flowrun.models import set_model

set_model(lambda model_input, params: [f"{text}!" for text in model_input.iloc[:, 0]])
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder = tmp_path_factory.mktemp("page")
    script = folder / "model.py"
    script.write_text(ECHO)
    columns = Schema([ColSpec(DataType.string, HOSTILE), ColSpec(DataType.double, "alcohol")])
    params = ParamSchema([ParamSpec("depth", DataType.long, 3)])
    flowrun_pyfunc.save_model(
        folder / "model",
        python_model=str(script),
        signature=ModelSignature(columns, Schema([ColSpec(DataType.string)]), params),
        input_example=[{HOSTILE: HOSTILE, "alcohol": 13.2}],
        pip_requirements=["pandas"],
    )
    with scoring(folder, folder / "model") as server:
        yield server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_example_is_predicted_by_a_click(browser: Browser, served: Scoring, scheme: str) -> None:
    page = _opened(browser, served, is_dark=scheme == "dark")
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).to_have_text(json.dumps({"predictions": [f"{HOSTILE}!"]}))
    expect(page.locator("#said")).to_contain_text("200")
    assert page.title() == str(Path(served.log).parent / "model")
    assert "depth" in page.content()
    assert messages == []
    page.close()


def test_what_is_wrong_is_shown(browser: Browser, served: Scoring) -> None:
    page = _opened(browser, served)
    page.get_by_label("Request").fill('{"dataframe_records": [{"alcohol": 1}]}')
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer.bad")).to_contain_text("Model is missing inputs")
    page.close()


def test_page_fetches_nothing_from_elsewhere(served: Scoring) -> None:
    answer = served.call("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert HOSTILE.encode() not in answer.body


def _opened(browser: Browser, served: Scoring, *, is_dark: bool = False) -> Page:
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if is_dark else "light"
    )
    page.goto(served.url)
    return page
