"""Starting up: `--version` and `--help`, beside a bare interpreter and MLflow."""

from __future__ import annotations

from benchmarks.lab import FLOWRUN, Lab, open_lab, parse_options
from benchmarks.race import Command, Contender, Result, race
from benchmarks.report import Target, print_results, print_targets, print_title

ROUNDS = 15
BARE = "python -c pass"
VERSION_LIMIT = 5
HELP_LIMIT = 10


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, "mlflow") as lab:
        print_title("Start", lab.tools, lab.rounds)
        flag_targets = [
            _compare(lab, flag, limit)
            for flag, limit in (("--version", VERSION_LIMIT), ("--help", HELP_LIMIT))
        ]
        print_targets(flag_targets)


def _compare(lab: Lab, flag: str, limit: int) -> Target:
    bare = [str(lab.tools[FLOWRUN].prefix / "bin" / "python"), "-c", "pass"]
    contenders = [
        _calls(lab, FLOWRUN, lab.tools[FLOWRUN].argv(flag)),
        _calls(lab, BARE, bare),
        _calls(lab, "mlflow", lab.tools["mlflow"].argv(flag)),
    ]
    results = race(lab, contenders)
    print_results(flag, results)
    return _target(results, flag, limit)


def _calls(lab: Lab, name: str, argv: list[str]) -> Contender:
    variables = lab.tools.get(name, lab.tools[FLOWRUN]).variables
    return Contender(name, lambda folder: Command(argv, folder, variables))


def _target(results: dict[str, Result], flag: str, limit: int) -> Target:
    ratio = results[FLOWRUN].wall_s / results[BARE].wall_s
    return Target(
        f"`flowrun {flag}` takes at most {limit} times as long as `{BARE}`",
        f"{ratio:.1f} times",
        ratio <= limit,
    )


if __name__ == "__main__":
    main()
