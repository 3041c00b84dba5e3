"""Charts as pictures, by matplotlib where it is installed.

Its own figures are used, never `pyplot`: that keeps figures and a backend for the whole process,
which belong to the user.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowrun.models.evaluation.curves import Chart

_MOST_CELLS = 20
"""A side of a grid whose cells show their numbers."""


def can_draw() -> bool:
    """Tell whether matplotlib is there."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError:
        return False
    return True


def draw(chart: Chart, path: Path) -> None:
    """Write a chart as a PNG."""
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(6.0, 4.0), dpi=120)
    axes = figure.subplots()
    if chart.grid:
        _draw_grid(figure, axes, chart)
    for line in chart.lines:
        marker = "o" if chart.name.startswith("calibration") else None
        axes.plot(
            line.x, line.y, label=_plain(line.label), linewidth=1, marker=marker, markersize=3
        )
    if chart.points is not None:
        axes.scatter(chart.points.x, chart.points.y, s=6, alpha=0.5, linewidths=0)
    _draw_guides(axes, chart)
    axes.set_title(chart.title)
    axes.set_xlabel(_plain(chart.x_label))
    axes.set_ylabel(_plain(chart.y_label))
    if chart.lines:
        axes.legend(loc="best", fontsize=7)
    # Without the version of matplotlib the same chart is the same file.
    figure.savefig(path, format="png", bbox_inches="tight", metadata={"Software": None})


def _draw_grid(figure: Any, axes: Any, chart: Chart) -> None:  # noqa: ANN401 - of matplotlib
    image = axes.imshow(chart.grid, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image)
    places = list(range(len(chart.ticks)))
    axes.set_xticks(places, [_plain(tick) for tick in chart.ticks], rotation=45, ha="right")
    axes.set_yticks(places, [_plain(tick) for tick in chart.ticks])
    if len(places) > _MOST_CELLS:
        return
    for row, values in enumerate(chart.grid):
        for column, value in enumerate(values):
            colour = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=7)


def _draw_guides(axes: Any, chart: Chart) -> None:  # noqa: ANN401 - of matplotlib
    guide: dict[str, Any] = {"color": "gray", "alpha": 0.5, "linestyle": "dashed", "linewidth": 1}
    if chart.level is not None:
        axes.axhline(chart.level, **guide)
    if chart.diagonal:
        low, high = _reach(chart)
        axes.plot([low, high], [low, high], **guide)


def _reach(chart: Chart) -> tuple[float, float]:
    if chart.points is None:
        return 0.0, 1.0
    values: Sequence[float] = [*chart.points.x, *chart.points.y]
    return min(values), max(values)


def _plain(text: str) -> str:
    """Give a text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")
