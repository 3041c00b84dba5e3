"""An `evaluate` as what it is to the rest of the plan: a command with arguments.

So it has an environment, inputs, attempts, a place in the cache and a run as any command has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.plan.plan import CommandAction
from flowrun.spec.project import Evaluate, Parameter, ParameterType, Value

BASELINE = "baseline"
CHAMPION = "champion"
"""The argument that says which model the baseline was."""
_COMMAND = "python -m flowrun.models.evaluation"
"""The light client brings it into the step's environment."""
_THRESHOLD = "threshold."
"""Before METRIC.KEY, as no parameter of a user's own begins."""
_PATHS = ("model", "data")


def evaluation_command(evaluate: Evaluate) -> CommandAction:
    """Return the command; what is not a path is appended to it as ` --name value`."""
    paths = {
        name: Parameter(name, ParameterType.PATH, None, value.mark)
        for name in _PATHS
        if (value := evaluate.arguments.get(name)) is not None
    }
    template = " ".join([_COMMAND, *(f"--{name} {{{name}}}" for name in paths)])
    baseline = None if evaluate.baseline is None else BASELINE
    return CommandAction(
        template, None, paths, baseline=baseline, files=_files(evaluate), deed=_deed(evaluate)
    )


def evaluation_arguments(evaluate: Evaluate) -> Mapping[str, Value]:
    """Return the arguments of the command."""
    if evaluate.baseline is None:
        return evaluate.arguments
    return {**evaluate.arguments, BASELINE: evaluate.baseline}


def named_metrics(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """Give the metrics that the arguments of an evaluation name: what it is about.

    Args:
        arguments: by name, with their values as text; of a step or of a recorded run. Those of any
            other command name none.
    """
    limited = (
        name.removeprefix(_THRESHOLD).rpartition(".")[0]
        for name in arguments
        if name.startswith(_THRESHOLD)
    )
    return tuple(dict.fromkeys(limited))


def _files(evaluate: Evaluate) -> tuple[str, ...]:
    """Return the files of `file.py:function` metrics."""
    named = evaluate.arguments.get("metrics")
    names: list[str] = json.loads(str(named.raw)) if named is not None else []
    files = (name.rpartition(":")[0] for name in names)
    return tuple(dict.fromkeys(file for file in files if file.endswith(".py")))


def _deed(evaluate: Evaluate) -> str:
    kind, baseline = evaluate.arguments.get("type"), evaluate.baseline
    what = "evaluate" if kind is None else f"evaluate as {kind.raw}"
    return what if baseline is None else f"{what} beside {baseline.raw}"
