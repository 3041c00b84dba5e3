"""The page itself: what the template shows of a run.

All that a run says is hostile text. The template escapes it, characters that could turn a text
around are replaced, and the policy of the page lets nothing run and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flowrun.engine.console import duration_text, size_text
from flowrun.plan.draw import Json
from flowrun.proof.packages import Package, PackageKind, packages_of
from flowrun.proof.reading import planned_steps
from flowrun.proof.recorded import RecordedEnv, RecordedRun
from flowrun.proof.report.picture import draw
from flowrun.proof.report.steps import SIGNS, ReportStep, counted, report_steps, style_of
from flowrun.proof.report.timeline import timeline
from flowrun.proof.states import ENDS, StepState
from flowrun.valueclass import valueclass

TEMPLATE = "run.html.j2"
STYLES = "run.css"
MOST_COLUMNS = 8
"""Of the table of metrics; the others are with their steps."""
MOST_TEXT = 200_000
"""Characters of a diff."""


@valueclass
class UsedEnv:
    """An environment, and how many of the run's steps ran in it."""

    backend: str
    key: str
    image: str | None
    python: str | None
    packages: Sequence[Package]
    step_count: int
    first_step: str


def report_bytes(
    run: RecordedRun,
    states: Sequence[StepState],
    last_lines: Mapping[str, str],
    templates: Path,
    now_ms: int,
) -> bytes:
    """Give the page as UTF-8.

    Args:
        run: the run, with its steps.
        states: how its steps are; none of a command by itself.
        last_lines: step id to the last that a failed step printed.
        templates: the folder with the page's template and styles.
        now_ms: the time; until then steps that run have run.
    """
    steps = report_steps(run, states)
    styles = (templates / STYLES).read_text(encoding="utf-8")
    page = _environment(templates).get_template(TEMPLATE)
    text = page.render(
        run=run,
        project=(run.plan or {}).get("project") or "",
        steps=steps,
        counts=counted(step.state for step in steps),
        failed=[step for step in steps if step.state in {"failed", "killed"}],
        last_lines=last_lines,
        picture=draw(steps, needs_of(run.plan)) if len(steps) > 1 else None,
        timeline=timeline(steps, run.start_time_ms, run.end_time_ms or now_ms),
        metrics=metric_names(steps),
        measured=[step for step in steps if step.recorded and step.recorded.metrics],
        envs=used_envs(run),
        diff=run.diff[:MOST_TEXT] if run.diff else "",
        is_cut=len(run.diff or "") > MOST_TEXT,
        took_ms=(run.end_time_ms or now_ms) - run.start_time_ms,
        now_ms=now_ms,
        styles=Markup(styles),  # noqa: S704 - flowrun's own file
        styles_sha256=base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode(),
    )
    return text.encode("utf-8", "replace")


def needs_of(plan: Mapping[str, Json] | None) -> dict[str, list[str]]:
    """Give the steps before each step; what only hands others on is no step to a reader."""
    needs: dict[str, list[str]] = {}
    ends: dict[str, list[str]] = {}
    for step in planned_steps(plan):
        named = step.get("needs")
        before = [str(need) for need in named] if isinstance(named, list) else []
        through = [each for need in before for each in ends.get(need, [need])]
        target = ends if str(step.get("kind")) in ENDS else needs
        target[str(step.get("id"))] = list(dict.fromkeys(through))
    return needs


def metric_names(steps: Sequence[ReportStep]) -> list[str]:
    """Give the metrics that most steps have, the most common ones first."""
    counts: dict[str, int] = {}
    for step in steps:
        for name in step.recorded.metrics if step.recorded else ():
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:MOST_COLUMNS]


def used_envs(run: RecordedRun) -> list[UsedEnv]:
    """Give the different environments of a run's steps."""
    users: dict[tuple[str, str, str | None], list[tuple[str, RecordedEnv]]] = {}
    for step in run.steps:
        if step.env is not None:
            env = step.env
            users.setdefault((env.backend, env.key, env.image_id), []).append((step.id, env))
    return [_used(found) for found in users.values()]


def _used(found: Sequence[tuple[str, RecordedEnv]]) -> UsedEnv:
    first_step, env = found[0]
    packages = packages_of(env) if env.lock is not None else ()
    python = next((each.version for each in packages if each.kind is PackageKind.PYTHON), None)
    shown = [each for each in packages if each.kind is not PackageKind.PYTHON]
    return UsedEnv(env.backend, env.key, env.image, python, shown, len(found), first_step)


def _environment(templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "duration": duration_text,
        "size": size_text,
        "time": _time_text,
        "number": lambda value: f"{value:.6g}",
        "style": style_of,
        "sign": SIGNS.__getitem__,
    }
    return environment


def _shown(value: object) -> object:
    """Replace what a page can't show, or what would turn the text around it."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in value)
    return "" if value is None else value


def _time_text(time_ms: int | None) -> str:
    if time_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"  # in no year that a calendar has: anyone may write to a store
