"""The report as a browser shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from flowrun.cli.project import templates_dir
from flowrun.engine.events import Attempt
from flowrun.engine.record.outcome import StepRow
from flowrun.proof.recorded import RecordedRun, RecordedSource
from flowrun.proof.report.page import report_bytes
from flowrun.proof.states import StepState
from flowrun.tracking.entities import RunStatus
from tests.support.browser import opened_file
from tests.support.space import Space

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOSTILE = "</title></style><script>document.title='taken'</script><img src=http://evil.test/x>"
PROJECT = """\
name: "wine </script><b>quality"
entry_points:
  train:
    parameters: {lr: {type: float, default: 0.1}, note: {default: plain}}
    command: 'echo {note} > out.txt; printf ''{{"rmse": %s}}'' {lr} > m.json'
    metrics: m.json
    outputs: {model: out.txt}
  main:
    parameters: {note: {default: plain}}
    steps:
      prepare: {run: "echo 3 > words.txt", outputs: {words: words.txt}}
      train:
        matrix: {lr: [0.1, 0.2]}
        with: {lr: "${{ matrix.lr }}", note: "${{ params.note }}"}
        needs: [prepare]
      check: {run: "cat spoken.txt >&2; exit 3", needs: [prepare]}
      last: {run: "true", needs: [train, check]}
"""
SOURCE = RecordedSource("file:///p", None, None, None, "", None, None, is_dirty=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = Space(tmp_path_factory.mktemp("report"))
    space.write({"p/MLproject": PROJECT, "p/spoken.txt": f"one\n\x1b[31m{HOSTILE}\n"})
    run = ("run", "p", "--env-manager", "local")
    space.flowrun(*run, code=1)
    space.flowrun(*run, "-P", f"note={HOSTILE}", code=1)
    space.flowrun("export", "latest", "--format", "html", "-o", "report.html")
    return space.path / "report.html"


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_the_page_can_be_read_and_takes_nothing_from_elsewhere(
    chromium: Browser, report: Path, is_dark: bool
) -> None:
    with opened_file(chromium, report, is_dark=is_dark) as seen:
        assert seen.requests == [report.as_uri()]
        assert seen.messages == []  # the policy had nothing to forbid
        assert seen.page.title().startswith("wine </script><b>quality ")
        assert seen.page.title().endswith(" - FAILED")
        assert seen.page.locator("script, img, b").count() == 0
        contrasts = seen.page.evaluate(CONTRASTS)
        assert contrasts
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
        assert _is_dark(seen.page) == is_dark


def test_the_page_says_what_was_done_and_what_went_wrong(chromium: Browser, report: Path) -> None:
    with opened_file(chromium, report) as seen:
        page = seen.page
        badges = page.locator("header .badge").all_inner_texts()
        assert badges == ["✗ FAILED", "✗ 1 failed", "✓ 2 succeeded", "↻ 1 reused", "- 1 skipped"]
        [failure] = page.locator(".failure").all_inner_texts()
        assert "its command ended with exit code 3" in failure
        assert f"one\n�[31m{HOSTILE}" in failure
        picture = page.locator("#picture .box title").all_text_contents()
        assert picture == [
            "prepare: reused",
            "train[lr=0.1]: succeeded",
            "train[lr=0.2]: succeeded",
            "check: failed",
            "last: skipped",
        ]
        assert page.locator("#timeline rect.bar").count() == 3
        metrics = page.locator("#metrics tr").all_inner_texts()
        assert metrics == ["step\trmse", "train[lr=0.1]\t0.1", "train[lr=0.2]\t0.2"]
        steps = page.locator("#steps summary").all_inner_texts()
        assert "did the same" in steps[0]
        assert f"parameter note: plain -> {HOSTILE}" in steps[1]
        assert "its command ended with exit code 3" in steps[3]
        assert "step 'check' failed" in steps[4]


def test_a_step_in_the_picture_leads_to_all_about_it(chromium: Browser, report: Path) -> None:
    with opened_file(chromium, report) as seen:
        page = seen.page
        body = page.locator("#step-2")
        assert not body.is_visible()
        page.locator("#picture a").nth(1).click()
        assert body.is_visible()
        text = body.inner_text()
        assert "Outputs" in text
        assert "out.txt" in text
        digest = body.locator("code").first.get_attribute("title")
        assert digest is not None
        assert len(digest) == 64


def test_words_stay_in_their_boxes_and_the_page_in_its_window(
    chromium: Browser, report: Path
) -> None:
    with opened_file(chromium, report) as seen:
        assert seen.page.evaluate(OUTSIDE) == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 1200


def test_a_thousand_steps_are_still_a_page(chromium: Browser, tmp_path: Path) -> None:
    run, states = _thousand()
    page_bytes = report_bytes(run, states, {}, templates_dir() / "report", 1_100_000)
    assert len(page_bytes) < 3_000_000
    (tmp_path / "big.html").write_bytes(page_bytes)
    with opened_file(chromium, tmp_path / "big.html") as seen:
        page = seen.page
        assert page.locator("#steps details").count() == 1_000
        assert page.locator("#picture .box").count() == 10
        assert page.locator("#timeline rect.bar").count() == 900
        assert page.locator("header .badge").all_inner_texts()[0] == "▶ RUNNING"
        assert "while the run was going on" in page.locator("footer").inner_text()
        height = page.locator("#timeline").bounding_box()
        assert height is not None
        assert height["height"] < 300
        assert page.evaluate(OUTSIDE) == []


HOSTILE_ROW = StepRow(
    "ruined",
    "beef",
    HOSTILE,
    None,
    HOSTILE,
    2**52,
    2**52,
    2**52,
    (Attempt(1, HOSTILE, 1, HOSTILE),),
)
HOSTILE_PLAN: dict[str, object] = {
    "project": [HOSTILE],
    "steps": [{"id": 5, "needs": 7}, {}, 3, {"id": "a", "kind": [], "needs": ["b", {}, "a"]}],
}


def test_whatever_a_record_says_a_page_comes_of_it(chromium: Browser, tmp_path: Path) -> None:
    run, _ = _thousand()
    plan = json.loads(json.dumps(HOSTILE_PLAN))
    run = replace(run, plan=plan, start_time_ms=-(2**60), name=HOSTILE, diff=HOSTILE)
    states = [StepState("a", HOSTILE_ROW), StepState(HOSTILE, HOSTILE_ROW)]
    page = report_bytes(run, states, {"a": HOSTILE}, templates_dir() / "report", 2**60)
    (tmp_path / "page.html").write_bytes(page)
    with opened_file(chromium, tmp_path / "page.html") as seen:
        assert seen.messages == []
        assert seen.requests == [(tmp_path / "page.html").as_uri()]
        assert seen.page.locator("script, img").count() == 0
        assert seen.page.locator("#steps details").count() == 2


def test_a_report_is_not_written_over_what_is_there(report: Path) -> None:
    space = Space(report.parent)
    done = space.flowrun("export", "latest", "--format", "html", "-o", "report.html", code=2)
    assert "exists" in done.err
    space.flowrun("export", "latest", "--format", "html", "-o", "report.html", "--force")


def _is_dark(page: Page) -> bool:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, str(colour).removeprefix("rgb(").removesuffix(")").split(","))) < 200


def _thousand() -> tuple[RecordedRun, list[StepState]]:
    """Make a run of ten layers of a hundred steps, of which the last layer waits."""
    ids = [f"layer{layer}[x={x}]" for layer in range(10) for x in range(100)]
    steps = [
        {
            "id": id_,
            "kind": "command",
            "needs": [f"layer{n // 100 - 1}[x={x}]" for x in range(100)] if n >= 100 else [],
        }
        for n, id_ in enumerate(ids)
    ]
    states = [
        StepState(
            id_,
            StepRow("succeeded", f"{n:032x}", attempts=1, start_time_ms=n * 50, duration_ms=180)
            if n < 900
            else StepRow("waiting"),
        )
        for n, id_ in enumerate(ids)
    ]
    run = RecordedRun(
        run_id="0" * 32,
        name="big",
        experiment_id="0",
        status=RunStatus.RUNNING,
        start_time_ms=0,
        end_time_ms=None,
        user="ada",
        host="here",
        flowrun_version="1",
        source=SOURCE,
        entry_point="main",
        is_pipeline=True,
        artifact_uri="mlflow-artifacts:/0",
        params={},
        steps=(),
        plan=json.loads(json.dumps({"project": "big", "steps": steps})),
    )
    return run, states


CONTRASTS = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(Number)
      .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const found = {};
  for (const choice of ["h1", "dt", "dd", "footer", ".badge", "summary .why", "#metrics a",
                        "caption", "svg text.faint", "svg .box text", ".box .sign", ".part",
                        ".bar"]) {
    for (const element of document.querySelectorAll(choice)) {
      const style = getComputedStyle(element);
      const one = light(element instanceof SVGElement ? style.fill : style.color);
      const ratio = (Math.max(one, page) + 0.05) / (Math.min(one, page) + 0.05);
      found[choice + " " + element.textContent.slice(0, 20)] = ratio;
    }
  }
  return found;
}"""
"""How far texts and marks stand out from the page. Source: WCAG 2.2, contrast ratio."""

OUTSIDE = """() => [...document.querySelectorAll("#picture .box")].flatMap(box => {
  const frame = box.querySelector(".frame").getBoundingClientRect();
  return [...box.querySelectorAll("text")].filter(text => {
    const at = text.getBoundingClientRect();
    return at.left < frame.left || at.right > frame.right || at.bottom > frame.bottom;
  }).map(text => text.textContent);
})"""
