"""A report for people: on a terminal, and in Markdown for the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.proof.verify.report import Report, StepCheck, Verdict

MARKS = {
    Verdict.SAME: "same",
    Verdict.DIFFERENT: "DIFFERENT",
    Verdict.NOT_COMPARED: "-",
    Verdict.UNDONE: "?",
}
MAX_DIFFERENCES = 5


def report_lines(report: Report) -> Iterator[str]:
    """Give a report line by line."""
    width = max((len(step.step_id) for step in report.steps), default=0)
    for step in report.steps:
        yield f"  {step.step_id.ljust(width)}  {MARKS[step.verdict]}{_remark(step)}"
    if report.steps:
        yield ""
    first = report.first
    if first is not None:
        yield f"The first step that differs is '{first.step_id}'."
        yield from (f"  {line}" for line in _story(first))
        others = [s for s in report.steps if s.verdict is Verdict.DIFFERENT and s is not first]
        for step in others:
            if step.is_own:
                yield f"'{step.step_id}' differs as well, by itself."
                yield from (f"  {line}" for line in _story(step))
    notes = [f"{step.step_id}: {note}" for step in report.steps for note in step.notes]
    yield from notes
    for fact in report.lacking:
        yield f"The record lacks {fact}."
    yield verdict_line(report)


def verdict_line(report: Report) -> str:
    """Give the last line: what came of it."""
    run = f"run {report.recorded_run_id}"
    match report.verdict:
        case Verdict.SAME:
            return f"{run} gives the same again."
        case Verdict.DIFFERENT:
            return f"{run} does not give the same again."
        case _:
            return f"{run} could not be verified: {report.problem}"


def report_to_markdown(report: Report) -> str:
    """Give a report as Markdown."""
    mark = {Verdict.SAME: "\u2705", Verdict.DIFFERENT: "\u274c"}.get(report.verdict, "\u26a0\ufe0f")
    lines = [f"## {mark} {_cell(verdict_line(report))}", ""]
    facts = {"Source": report.uri, "Commit": report.commit, "Entry point": report.entry_point}
    lines += [f"- {name}: {_code(value)}" for name, value in facts.items() if value]
    runs = ", ".join(_code(run_id) for run_id in report.run_ids)
    lines += [f"- Executed as: {runs}"] if runs else []
    if report.steps:
        lines += ["", "| step | | |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(step.step_id)} | {step.verdict.value} | {_cell(_remark(step).strip())} |"
            for step in report.steps
        ]
    for step in report.steps:
        if step.is_own:
            lines += ["", f"### {_cell(step.step_id)}", ""]
            lines += [f"- {_cell(line)}" for line in _story(step)]
    lacking = [f"- the record lacks {_cell(fact)}" for fact in report.lacking]
    return "\n".join([*lines, *([""] if lacking else []), *lacking]) + "\n"


def _remark(step: StepCheck) -> str:
    if step.verdict is not Verdict.DIFFERENT:
        return ""
    if step.inherited_from:
        return f"  inherited from {', '.join(step.inherited_from)}"
    if step.differences:
        return f"  {step.differences[0]}"
    return f"  {step.causes[0]}" if step.causes else ""


def _story(step: StepCheck) -> Iterator[str]:
    """Tell what differs in a step, by how much, and why."""
    yield from (str(each) for each in step.differences[:MAX_DIFFERENCES])
    hidden = step.count - min(len(step.differences), MAX_DIFFERENCES)
    if hidden > 0:
        far = "" if step.largest is None else f"; the largest is {step.largest:.3g}"
        yield f"and {hidden} more differences{far}"
    for step_id in step.inherited_from:
        yield f"inherited from '{step_id}', whose results it takes"
    yield from (f"cause: {cause}" for cause in step.causes)
    if step.recorded_run_id and step.run_id:
        yield f"recorded as run {step.recorded_run_id}, executed again as run {step.run_id}"


def _cell(text: str) -> str:
    """Give text in which nothing is markup."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    for character in "\\`*_{}[]<>#|!":
        plain = plain.replace(character, f"\\{character}")
    return plain


def _code(text: str) -> str:
    return f"`{''.join(c for c in text if c.isprintable() and c != '`')}`"
