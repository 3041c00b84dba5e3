"""How long it takes to read, plan and schedule many steps, and that twice as many take twice.

Run it as `python benchmarks/bench_plan.py`. Nothing but this process is measured: no run, no store.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from flowrun.plan.build import LoadedProject, build_plan
from flowrun.plan.plan import Plan
from flowrun.plan.schedule import Begin, Schedule, StartStep, StepSucceeded
from flowrun.spec.parse import parse_project
from flowrun.spec.project import Project, ProjectCall

ROUNDS = 5
SIZES = (1_000, 2_000, 10_000)
Result = TypeVar("Result")


def main() -> None:
    print(f"medians of {ROUNDS} rounds, ms in all (us per step)\n")
    print(f"{'':34}{'steps':>7}  {'parse':>16}{'plan':>16}{'schedule':>16}")
    for name, text_of in {
        "chain, each step after one": chain,
        "layers of 50, each step after two": layers,
    }.items():
        for count in SIZES:
            row(name, count, text_of(count))
    for count in SIZES:
        row("one step with a matrix, and select", count, matrix(count))


def row(name: str, count: int, text: str) -> None:
    parse_ms, project = timed(lambda: parse_project(text))
    plan_ms, plan = timed(lambda: plan_of(project))
    schedule_ms, _ = timed(lambda: run_through(plan))
    cells = (f"{ms:7.0f} ({1000 * ms / count:5.0f})" for ms in (parse_ms, plan_ms, schedule_ms))
    print(f"{name:34}{count:>7}  {''.join(f'{cell:>16}' for cell in cells)}")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), result


def plan_of(project: Project) -> Plan:
    def no_project(call: ProjectCall) -> LoadedProject:
        raise AssertionError(call)

    return build_plan(LoadedProject(project, None, lambda _: True), load=no_project)


def run_through(plan: Plan) -> None:
    """Let every step succeed as soon as it is started."""
    schedule = Schedule(plan.steps, slots=8, cpus=8, memory_bytes=0)
    actions = schedule.on(Begin())
    open_actions = list(actions)
    done = 0
    while open_actions:
        action = open_actions.pop()
        if isinstance(action, StartStep):
            done += 1
            open_actions += schedule.on(StepSucceeded(action.step_id))
    assert done == len(plan.steps)


def chain(count: int) -> str:
    steps = [
        f"      s{n}:\n        run: 'echo {{x}}'\n"
        f"        with: {{x: '${{{{ steps.s{n - 1}.outputs.y }}}}'}}\n"
        for n in range(1, count)
    ]
    return "entry_points:\n  main:\n    steps:\n      s0: {run: echo}\n" + "".join(steps)


def layers(count: int, width: int = 50) -> str:
    steps = [
        f"      s{n}: {{run: echo, needs: [s{n - width}, s{n - width + 1 - (n % width)}]}}\n"
        if n >= width
        else f"      s{n}: {{run: echo}}\n"
        for n in range(count)
    ]
    return "entry_points:\n  main:\n    steps:\n" + "".join(steps)


def matrix(count: int) -> str:
    return (
        "entry_points:\n  main:\n    steps:\n      many:\n        run: 'echo {i}'\n"
        f"        matrix: {{i: {list(range(count))}}}\n        with: {{i: '${{{{ matrix.i }}}}'}}\n"
        "      best: {select: {from: many, metric: m, mode: min}}\n"
    )


if __name__ == "__main__":
    main()
