"""Options and values that commands have in common which run a project."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated

import typer

from flowrun.errors import UsageError
from flowrun.plan.selection import Selection

_WAIT = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_WAIT_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Uri = Annotated[
    str, typer.Argument(metavar="URI", help="Git URL, directory or zip; #subdir; runs:/ID.")
]
EntryPoint = Annotated[
    str, typer.Option("--entry-point", "-e", help="Entry point, or a script of the project.")
]
Version = Annotated[
    str | None,
    typer.Option("--version", "-v", help="Branch, tag, commit or refs/... of a git URI."),
]
ParamList = Annotated[
    list[str] | None, typer.Option("--param-list", "-P", metavar="NAME=VALUE", help="A parameter.")
]
ParamsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Parameters, as YAML or JSON; -P goes before.")
]
IsLocked = Annotated[
    bool, typer.Option("--locked", help="Refuse to differ from the project's MLproject.lock.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Run every step, whatever ran before.")]
Rerun = Annotated[
    list[str] | None,
    typer.Option(metavar="STEP", help="Run this step in any case; may be given several times."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Run this step and all after it in any case."),
]
Until = Annotated[
    str | None, typer.Option(metavar="STEP", help="Only what this step needs, and itself.")
]

DockerArgs = Annotated[
    list[str] | None, typer.Option("--docker-args", "-A", help="NAME[=VALUE] for docker run.")
]
ExperimentName = Annotated[
    str | None, typer.Option(help="Experiment to record into; made if it is new.")
]
ExperimentId = Annotated[str | None, typer.Option(help="The same by its id.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Steps at the same time; default: processors."),
]
WaitApproval = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Wait so long for approvals: 30m, 2h, forever; default: not at all.",
    ),
]
IsFailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failed step.")]
IsQuiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show what the steps print.")]
OutcomeAsJson = Annotated[
    bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else.")
]


def selection_of(rerun: list[str] | None, start: str | None, until: str | None) -> Selection | None:
    """Give what the flags select; None for everything."""
    if not rerun and start is None and until is None:
        return None
    return Selection(until, start, tuple(rerun or ()))


def parse_params(texts: list[str], flag: str = "-P") -> dict[str, str]:
    """Read `NAME=VALUE` texts of a flag; a name given twice is refused."""
    params: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text}: a parameter is given as NAME=VALUE")
        if name in params:
            raise UsageError(f"{flag} {name}=...: parameter '{name}' is given twice")
        params[name] = value
    return params


def parse_docker_args(texts: list[str]) -> dict[str, str]:
    """Read `NAME=VALUE` texts, or names alone, which are flags; a name given twice is refused."""
    arguments: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name in arguments:
            raise UsageError(f"--docker-args {text}: '{name}' is given twice")
        arguments[name] = value if equals else "true"
    return arguments


def check_backend(backend: str, config: str | None) -> None:
    """Refuse a backend that is not there, and a configuration that can't be read."""
    if backend != "local":
        raise UsageError(f"--backend {backend}: this version of flowrun runs steps locally only")
    if config is None:
        return
    try:
        text = Path(config).read_text(encoding="utf-8") if config.endswith(".json") else config
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--backend-config {config}: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"--backend-config {config}: must be a JSON object")


def parse_wait(text: str | None) -> float | None:
    """Give the seconds of `--wait-approval`; None: do not wait.

    Raises:
        UsageError: it is no duration.
    """
    if text is None or text == "forever":
        return None if text is None else math.inf
    found = _WAIT.fullmatch(text)
    if found is None:
        raise UsageError(f"--wait-approval {text}: write it as 90s, 30m, 2h, 7d or forever")
    return float(found[1]) * _WAIT_UNITS_S[found[2]]
