"""One trivial step, recorded: of a local project, and of a git repository at a pinned commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from benchmarks.lab import FLOWRUN, Lab, Tool, open_lab, parse_options
from benchmarks.projects import ONE_STEP, dvc_project, mlproject, mlproject_by_commit
from benchmarks.race import Contender, Result, measure, race
from benchmarks.report import Target, duration, print_results, print_targets, print_title

ROUNDS = 9
TIMES_FASTER_THAN_MLFLOW = 8
PEAK_LIMIT_MIB = 120


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, "mlflow", "dvc") as lab:
        print_title("One trivial step", lab.tools, lab.rounds)
        flowrun, mlflow, dvc = (lab.tools[name] for name in (FLOWRUN, "mlflow", "dvc"))
        mlflow = _with_store(mlflow)
        ours = Contender.at(FLOWRUN, partial(mlproject, flowrun), lab.folder / "ours")
        contenders = [
            ours,
            Contender(f"{FLOWRUN}, a project's first run", partial(mlproject, flowrun)),
            Contender.at("mlflow", partial(mlproject, mlflow), lab.folder / "theirs"),
            # In a project that it has seen DVC would run nothing.
            Contender("dvc", partial(dvc_project, dvc, ONE_STEP)),
        ]
        local = race(lab, contenders)
        print_results("A local project", local)
        from_git = race(lab, [_from_git(lab, tool) for tool in (flowrun, mlflow)])
        print_results("A git repository at a pinned commit, not for the first time", from_git)
        tree_mib = measure(lab, ours, measures_tree=True).peak_kib / 1024
        print_targets(_targets(local, from_git, tree_mib))


def _with_store(mlflow: Tool) -> Tool:
    """Let MLflow record into one database, as flowrun does, not into a new one for each project."""
    uri = f"sqlite:///{mlflow.home / 'mlflow.db'}"
    return replace(mlflow, variables={**mlflow.variables, "MLFLOW_TRACKING_URI": uri})


def _from_git(lab: Lab, tool: Tool) -> Contender:
    folder = lab.folder / f"{tool.name}-repository"
    return Contender.at(tool.name, partial(mlproject_by_commit, tool), folder)


def _targets(
    local: Mapping[str, Result], from_git: Mapping[str, Result], tree_mib: float
) -> list[Target]:
    ours, mlflow, dvc = local[FLOWRUN], local["mlflow"], local["dvc"]
    times = mlflow.wall_s / ours.wall_s
    times_from_git = from_git["mlflow"].wall_s / from_git[FLOWRUN].wall_s
    return [
        Target(
            f"at least {TIMES_FASTER_THAN_MLFLOW} times faster than `mlflow run`",
            f"{times:.1f} times",
            times >= TIMES_FASTER_THAN_MLFLOW,
        ),
        Target(
            "the same from git",
            f"{times_from_git:.1f} times",
            times_from_git >= TIMES_FASTER_THAN_MLFLOW,
        ),
        Target(
            "faster than `dvc repro`",
            f"{duration(ours.wall_s)} to {duration(dvc.wall_s)}",
            ours.wall_s < dvc.wall_s,
        ),
        Target(
            f"no process of flowrun's above {PEAK_LIMIT_MIB} MiB",
            f"{ours.peak_mib:.0f} MiB",
            ours.peak_mib <= PEAK_LIMIT_MIB,
        ),
        Target("all of them together neither", f"{tree_mib:.0f} MiB", tree_mib <= PEAK_LIMIT_MIB),
    ]


if __name__ == "__main__":
    main()
