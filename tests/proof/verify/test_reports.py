"""A report in its forms: hostile names and texts stay what they are."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

from flowrun.proof.verify.difference import Difference
from flowrun.proof.verify.junit import report_to_junit
from flowrun.proof.verify.report import Report, StepCheck, Verdict, report_to_json
from flowrun.proof.verify.text import report_lines, report_to_markdown

HOSTILE = "train[x=<script>|`rm`]\x1b[31m\x00"


def _report(*steps: StepCheck, verdict: Verdict = Verdict.DIFFERENT) -> Report:
    return Report(
        verdict, "ab" * 16, "name", "main", "file:///p", "c" * 40, "t" * 40, ("cd" * 16,), steps
    )


def _differing(step_id: str, *inherited: str) -> StepCheck:
    return StepCheck(
        step_id,
        Verdict.DIFFERENT,
        "1" * 32,
        "2" * 32,
        (Difference("metric 'a'", "1.0", "2.0", 1.0), Difference("output 'b'", "x", "y")),
        7,
        3.5,
        inherited,
        ("its environment: a 1 -> 2",),
    )


def test_first_step_is_the_first_that_differs_by_itself() -> None:
    report = _report(StepCheck("a", Verdict.SAME), _differing("b", "z"), _differing("c"))
    assert report.first is not None
    assert report.first.step_id == "c"
    only = _report(_differing("b", "z")).first
    assert only is not None
    assert only.step_id == "b"
    assert _report(StepCheck("a", Verdict.SAME), verdict=Verdict.SAME).first is None


def test_people_are_told_what_differs_by_how_much_and_why() -> None:
    text = "\n".join(report_lines(_report(StepCheck("a", Verdict.SAME), _differing("b"))))
    assert "  a  same\n  b  DIFFERENT  metric 'a': was 1.0, is 2.0 (apart by 1)\n" in text
    assert "The first step that differs is 'b'." in text
    assert "and 5 more differences; the largest is 3.5" in text
    assert "cause: its environment: a 1 -> 2" in text
    assert text.endswith(f"run {'ab' * 16} does not give the same again.")


def test_json_holds_everything() -> None:
    data = json.loads(json.dumps(report_to_json(_report(_differing("b")))))
    assert data["verdict"] == "different"
    assert data["first_difference"] == "b"
    assert data["steps"][0]["differences"][0]["delta"] == 1.0


def test_junit_is_a_document_whatever_steps_are_called() -> None:
    steps = (_differing(HOSTILE), StepCheck("n", Verdict.NOT_COMPARED))
    suite = ElementTree.fromstring(report_to_junit(_report(*steps))).find("testsuite")  # noqa: S314
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    assert suite[0].get("name") == "train[x=<script>|`rm`]?[31m?"


def test_junit_tells_of_a_verification_that_could_not_be_done() -> None:
    report = Report(
        Verdict.UNDONE, "ab", "n", "main", "u", None, None, problem="no index & no luck"
    )
    root = ElementTree.fromstring(report_to_junit(report))  # noqa: S314 - made just now
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert error.get("message") == "no index & no luck"
    assert root.get("errors") == "1"


def test_markdown_has_no_markup_of_anybody_elses() -> None:
    text = report_to_markdown(_report(_differing(HOSTILE)))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\x1b" not in text
    assert "| train\\[x=\\<script\\>\\|\\`rm\\`\\]" in text
