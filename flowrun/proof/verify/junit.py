"""A report as JUnit XML, which CI systems read: a test case for each step.

Source: the schema that Jenkins and GitLab accept (junit-10.xsd).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from flowrun.proof.verify.report import Report, StepCheck, Verdict

_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold."""


def report_to_junit(report: Report) -> str:
    """Give a report as an XML document."""
    counts = {
        "tests": max(1, len(report.steps)),
        "failures": sum(step.verdict is Verdict.DIFFERENT for step in report.steps),
        "errors": int(report.verdict is Verdict.UNDONE),
        "skipped": sum(step.verdict is Verdict.NOT_COMPARED for step in report.steps),
    }
    facts = {name: str(count) for name, count in counts.items()}
    seconds = f"{report.duration_ms / 1000:.3f}"
    root = ElementTree.Element("testsuites", {"name": "flowrun verify", "time": seconds, **facts})
    name = _text(f"flowrun verify {report.entry_point}")
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, "time": seconds, **facts})
    for step in report.steps:
        _add_step(suite, name, step)
    if report.verdict is Verdict.UNDONE:
        case = ElementTree.SubElement(suite, "testcase", {"classname": name, "name": "verify"})
        problem = _text(report.problem or "")
        ElementTree.SubElement(case, "error", {"message": problem}).text = problem
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_step(suite: ElementTree.Element, name: str, step: StepCheck) -> None:
    attributes = {"classname": name, "name": _text(step.step_id), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", attributes)
    if step.verdict is Verdict.NOT_COMPARED:
        ElementTree.SubElement(case, "skipped")
    elif step.verdict is Verdict.DIFFERENT:
        lines = [*map(str, step.differences), *(f"cause: {cause}" for cause in step.causes)]
        lines += [f"inherited from {step_id}" for step_id in step.inherited_from]
        message = _text(lines[0] if lines else "different")
        kind = "inherited" if step.inherited_from else "difference"
        failure = ElementTree.SubElement(case, "failure", {"message": message, "type": kind})
        failure.text = _text("\n".join(lines))


def _text(text: str) -> str:
    return _UNSPEAKABLE.sub("?", text)
