"""The picture of a plan: steps in columns, each to the right of all that it needs.

Many steps are drawn by their names, all instances of a matrix as one box: a picture of a thousand
boxes tells nobody anything. Source of the method: Sugiyama, Tagawa and Toda, "Methods for visual
understanding of hierarchical system structures" (1981): layers, dummies in long edges, barycentres.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.plan.graph import without_implied
from flowrun.proof.report.steps import ReportStep, counted, style_of
from flowrun.valueclass import valueclass

MOST_BOXES = 40
"""With more steps than this, instances of one step share a box."""
MOST_DUMMIES = 4_000
BOX_WIDTH, BOX_HEIGHT = 164, 34
GAP_X, GAP_Y, DUMMY_HEIGHT = 50, 12, 6
MARGIN = 8
MIN_PART = 4
LABEL_LENGTH = 22
SWEEPS = 6
_INSTANCE = re.compile(r"\[[^\[\]]*\]")


@valueclass
class Part:
    """A part of a box's foot: how many of its steps are in one state."""

    style: str
    x: float
    width: float


@valueclass
class Box:
    """A step, or all instances of one."""

    label: str
    title: str
    href: str
    sign: str
    style: str
    x: float
    y: float
    parts: Sequence[Part]


@valueclass
class Picture:
    """Boxes and lines, in pixels."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[str]
    """Paths, as in SVG."""
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


@dataclass(slots=True)
class _Node:
    """A place in a column: of a box, or (without a name) of a line on its way."""

    name: str | None
    column: int
    before: list[_Node] = field(default_factory=list)
    after: list[_Node] = field(default_factory=list)
    y: float = 0.0
    """Of its middle."""

    @property
    def height(self) -> int:
        return DUMMY_HEIGHT if self.name is None else BOX_HEIGHT


def draw(steps: Sequence[ReportStep], needs: Mapping[str, Sequence[str]]) -> Picture:
    """Draw steps.

    Args:
        steps: in the plan's order, each after all that it needs; what says otherwise is not drawn.
        needs: step id to the ids of the steps before it.
    """
    groups = _groups(steps)
    edges = _edges(groups, needs)
    columns = _columns(list(groups), edges)
    _order(columns)
    _place(columns)
    nodes = {node.name: node for column in columns for node in column if node.name is not None}
    height = max(node.y + node.height / 2 for column in columns for node in column)
    width = len(columns) * (BOX_WIDTH + GAP_X) - GAP_X
    boxes = [_box(name, members, nodes[name]) for name, members in groups.items()]
    lines = [_line(node, follower) for node in nodes.values() for follower in node.after]
    return Picture(width + 2 * MARGIN, round(height) + MARGIN, boxes, lines)


def _groups(steps: Sequence[ReportStep]) -> dict[str, list[ReportStep]]:
    groups: dict[str, list[ReportStep]] = {}
    for step in steps:
        name = step.id if len(steps) <= MOST_BOXES else _INSTANCE.sub("", step.id)
        groups.setdefault(name, []).append(step)
    return groups


def _edges(
    groups: Mapping[str, Sequence[ReportStep]], needs: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Give what is drawn: no lines that follow from others, and none against the plan's order."""
    name_of = {step.id: name for name, members in groups.items() for step in members}
    place = {name: index for index, name in enumerate(groups)}
    edges = {
        (name_of[need], name): None
        for step_id, name in name_of.items()
        for need in needs.get(step_id, ())
        if need in name_of and place[name_of[need]] < place[name]
    }
    return without_implied(list(edges))


def _columns(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[list[_Node]]:
    """Put each box right of all before it, and a dummy in each column that a line crosses."""
    edges = list(edges)
    before: dict[str, list[str]] = {name: [] for name in names}
    for one, other in edges:
        before[other].append(one)
    nodes: dict[str, _Node] = {}
    for name in names:
        column = 1 + max((nodes[each].column for each in before[name]), default=-1)
        nodes[name] = _Node(name, column)
    columns: list[list[_Node]] = [[] for _ in range(1 + max(n.column for n in nodes.values()))]
    for node in nodes.values():
        columns[node.column].append(node)
    dummies = sum(nodes[other].column - nodes[one].column - 1 for one, other in edges)
    for one, other in edges:
        last = nodes[one]
        if dummies <= MOST_DUMMIES:
            for column in range(last.column + 1, nodes[other].column):
                dummy = _Node(None, column)
                columns[column].append(dummy)
                _join(last, dummy)
                last = dummy
        _join(last, nodes[other])
    return columns


def _join(one: _Node, other: _Node) -> None:
    one.after.append(other)
    other.before.append(one)


def _order(columns: Sequence[list[_Node]]) -> None:
    """Order each column by where its neighbours are, to and fro, so that few lines cross."""
    _number(columns)
    for sweep in range(SWEEPS):
        is_forth = sweep % 2 == 0
        for column in columns if is_forth else reversed(columns):
            column.sort(key=lambda node: _mean(node.before if is_forth else node.after, node.y))
            _number([column])


def _number(columns: Iterable[Sequence[_Node]]) -> None:
    for column in columns:
        for index, node in enumerate(column):
            node.y = index / max(len(column) - 1, 1)


def _place(columns: Sequence[Sequence[_Node]]) -> None:
    """Give each its height: near to what is before it, and below the one above it."""
    for column in columns:
        wanted = [_mean(node.before, 0.0) for node in column]
        bottom = float("-inf")
        for node, y in zip(column, wanted, strict=True):
            node.y = max(y, bottom + GAP_Y + node.height / 2)
            bottom = node.y + node.height / 2
        shift = sum(y - node.y for node, y in zip(column, wanted, strict=True)) / len(column)
        for node in column:
            node.y += shift
    top = min(node.y - node.height / 2 for column in columns for node in column)
    for column in columns:
        for node in column:
            node.y += MARGIN - top


def _mean(nodes: Sequence[_Node], default: float) -> float:
    return sum(node.y for node in nodes) / len(nodes) if nodes else default


def _x(node: _Node) -> float:
    return MARGIN + node.column * (BOX_WIDTH + GAP_X)


def _line(start: _Node, node: _Node) -> str:
    """Give the path from a box, through the dummies, to the next box."""
    x, y = _x(start) + BOX_WIDTH, start.y
    path, bend = [f"M{x:.0f} {y:.1f}"], GAP_X / 2
    while True:
        next_x = _x(node)
        path.append(f"C{x + bend:.0f} {y:.1f} {next_x - bend:.0f} {node.y:.1f}")
        path.append(f" {next_x:.0f} {node.y:.1f}")
        if node.name is not None:
            return "".join(path)
        x, y = _x(node) + BOX_WIDTH, node.y
        path.append(f"H{x:.0f}")
        node = node.after[0]


def _box(name: str, members: Sequence[ReportStep], node: _Node) -> Box:
    counts = counted(step.state for step in members)
    worst = next(step for step in members if step.state == counts[0][0])
    many = f" \N{MULTIPLICATION SIGN}{len(members)}" if len(members) > 1 else ""
    told = ", ".join(f"{count} {state}" for state, count in counts) if many else counts[0][0]
    parts, x = [], 0.0
    scale = (BOX_WIDTH - MIN_PART * len(counts)) / len(members)
    for state, count in counts:
        width = MIN_PART + scale * count
        parts.append(Part(style_of(state), x, width))
        x += width
    return Box(
        _cut(name, LABEL_LENGTH - len(many)) + many,
        f"{name}{many}: {told}",
        f"#{worst.anchor}",
        worst.sign,
        worst.style,
        _x(node),
        node.y - BOX_HEIGHT / 2,
        parts,
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
