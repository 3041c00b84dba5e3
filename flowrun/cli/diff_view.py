"""How two runs differ, on a terminal or in a pipe: what is not the same, side by side.

Imports rich (50 ms), so it is loaded only by the command that shows a difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flowrun.cli.tables import printable, time_text
from flowrun.engine.console import duration_text
from flowrun.proof.code import CodeDifference
from flowrun.proof.difference import (
    Change,
    ContentChange,
    EnvironmentDifference,
    RunDifference,
    StepDifference,
)
from flowrun.proof.recorded import RecordedContent, RecordedRun
from flowrun.sources.compare import FileChange, TreeChanges

PATCH_LINES = 120
"""So much of a patch is shown, without --all."""
STEPS_NAMED = 4
LONG_ROW = 110
WIDE = 100_000
"""In a pipe nothing is wrapped or cut."""
OLD, NEW, FAINT, HEAD = "red", "green", "dim", "bold"
NOTHING = Text("-", FAINT)


def show_difference(
    difference: RunDifference, code: CodeDifference, *, with_same: bool, is_terminal: bool
) -> None:
    """Print it.

    Args:
        difference: the facts.
        code: the files.
        with_same: with what does not differ.
        is_terminal: standard output can show colour and has a width.
    """
    console = Console(width=None if is_terminal else WIDE, highlight=False)
    _View(console, with_same=with_same).show(difference, code)


class _View:
    def __init__(self, console: Console, *, with_same: bool) -> None:
        self._console = console
        self._with_same = with_same

    def show(self, difference: RunDifference, code: CodeDifference) -> None:
        self._heads(difference.before, difference.after)
        if difference.is_same:
            self._console.print(Text("\nNothing that was recorded differs.", NEW))
            if not self._with_same:
                return
        self._section("run", [_row(each) for each in self._shown(difference.facts)])
        self._section("parameters", [_row(each) for each in self._shown(difference.params)])
        self._code(code)
        for each in difference.environments:
            self._environment(each)
        for step in difference.steps:
            if self._with_same or not step.is_same:
                self._step(step)

    def _heads(self, before: RecordedRun, after: RecordedRun) -> None:
        table = Table.grid(padding=(0, 2))
        for title, run, style in (("before", before, OLD), ("after", after, NEW)):
            ended = run.end_time_ms
            took = duration_text(ended - run.start_time_ms) if ended is not None else ""
            table.add_row(
                Text(title, style),
                Text(run.run_id),
                _plain(run.name),
                Text(run.status.value),
                Text(time_text(run.start_time_ms)),
                Text(took),
            )
        self._console.print(table)

    def _shown(self, changes: Iterable[Change]) -> list[Change]:
        return [each for each in changes if self._with_same or not each.is_same]

    def _section(self, title: str, rows: Sequence[Sequence[Text]], indent: int = 0) -> None:
        if not rows:
            return
        space = "\n" if indent == 0 else ""
        self._console.print(Text(f"{space}{' ' * indent}{title}", HEAD))
        short = [row for row in rows if _width(row) <= LONG_ROW]
        # One long value would push all others apart; it gets lines of its own.
        for group in ([short] if short else []) + [[row] for row in rows if row not in short]:
            table = Table.grid(padding=(0, 2))
            for row in group:
                table.add_row(*(row if len(group) > 1 or _width(row) <= LONG_ROW else _below(row)))
            self._console.print(Padding(table, (0, 0, 0, indent + 2), expand=False))

    def _code(self, code: CodeDifference) -> None:
        if code.problem is not None:
            self._console.print(Text("\ncode", HEAD))
            self._console.print(Text(f"  can't be compared: {printable(code.problem)}", OLD))
            return
        self._section("code", [_file_row(file) for file in code.changes.files])
        self._patch(code.changes)

    def _patch(self, changes: TreeChanges) -> None:
        lines = changes.patch.splitlines()
        shown = lines if self._with_same else lines[:PATCH_LINES]
        if shown:
            self._console.print()
        for line in shown:
            self._console.print(Text(printable(line), _patch_style(line)), soft_wrap=True)
        if len(shown) < len(lines):
            more = f"... {len(lines) - len(shown)} more lines: --all"
            self._console.print(Text(more, FAINT))
        elif changes.is_cut:
            self._console.print(Text("... and more: the patch is too long to be shown", FAINT))

    def _environment(self, difference: EnvironmentDifference) -> None:
        before, after = difference.backends
        kind = before if before == after else f"{before} -> {after}"
        title = f"environment of {_named(difference.steps)} ({kind})"
        if not difference.is_known:
            self._section(title, [[Text("the lock of one run was not recorded", FAINT)]])
            return
        rows = [_row(each) for each in self._shown(difference.packages)]
        self._section(title, rows or [[Text("the same packages, from another lock", FAINT)]])

    def _step(self, step: StepDifference) -> None:
        if step.before is None or step.after is None:
            which = "only before" if step.after is None else "only after"
            name = step.before or step.after or ""
            self._console.print(Text(f"\nstep {printable(name)}", HEAD), Text(which, FAINT))
            return
        name = step.before if step.before == step.after else f"{step.before} -> {step.after}"
        note = (" the same", FAINT) if step.is_same else ""
        self._console.print(Text.assemble((f"\nstep {printable(name)}", HEAD), note))
        self._section("run", [_row(each) for each in self._shown(step.facts)], 2)
        self._section("parameters", [_row(each) for each in self._shown(step.params)], 2)
        self._section("inputs", self._contents(step.inputs), 2)
        self._section("metrics", [_metric_row(each) for each in self._shown(step.metrics)], 2)
        self._section("values", [_row(each) for each in self._shown(step.values)], 2)
        self._section("outputs", self._contents(step.outputs), 2)

    def _contents(self, changes: Iterable[ContentChange]) -> list[list[Text]]:
        shown = [each for each in changes if self._with_same or not each.is_same]
        return [
            [_plain(each.name), *_sides(_content(each.before), _content(each.after), each.is_same)]
            for each in shown
        ]


def _width(row: Sequence[Text]) -> int:
    return sum(len(cell) + 2 for cell in row)


def _below(row: Sequence[Text]) -> list[Text]:
    """Put the second of two values below the first."""
    name, *rest = row
    if len(rest) < 3:
        return list(row)
    old, _, new, *more = rest
    return [name, Text.assemble("   ", old, ("\n-> ", FAINT), new), *more]


def _row(change: Change) -> list[Text]:
    return [
        _plain(change.name),
        *_sides(_value(change.before), _value(change.after), change.is_same),
    ]


def _sides(before: str | None, after: str | None, is_same: bool) -> list[Text]:  # noqa: FBT001
    if is_same:
        return [_plain(after or "", FAINT)]
    old = _plain(before, OLD) if before is not None else NOTHING
    new = _plain(after, NEW) if after is not None else NOTHING
    return [old, Text("->", FAINT), new]


def _metric_row(change: Change) -> list[Text]:
    row = _row(change)
    old, new = change.before, change.after
    if isinstance(old, float) and isinstance(new, float) and not change.is_same:
        by = new - old
        share = f" ({by / abs(old):+.2%})" if old and math.isfinite(by) else ""
        row.append(Text(f"{by:+.6g}{share}", FAINT))
    return row


def _value(value: str | float | None) -> str | None:
    # All digits: a difference in the last one is one.
    return repr(value) if isinstance(value, float) else value


def _content(content: RecordedContent | None) -> str | None:
    if content is None:
        return None
    return f"sha256:{content.sha256[:12]} {content.size_bytes} bytes"


def _file_row(file: FileChange) -> list[Text]:
    if file.lines_added is None:
        counts = Text("no text", FAINT)
    else:
        counts = Text(f"+{file.lines_added} -{file.lines_removed}", FAINT)
    return [Text(file.kind.value), _plain(file.path), counts]


def _patch_style(line: str) -> str:
    if line.startswith(("+++", "---", "diff ", "index ")):
        return HEAD
    return {"+": NEW, "-": OLD, "@": "cyan"}.get(line[:1], "")


def _named(steps: Sequence[str]) -> str:
    more = f" and {len(steps) - STEPS_NAMED} more" if len(steps) > STEPS_NAMED else ""
    return printable(", ".join(steps[:STEPS_NAMED])) + more


def _plain(text: str, style: str = "") -> Text:
    """Give a text of somebody else's: nothing in it is markup, and nothing drives the terminal."""
    return Text(printable(text), style)
