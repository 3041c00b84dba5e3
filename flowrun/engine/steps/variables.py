"""The complete environment variables of a step's command, on this machine or in a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flowrun.engine.record.recorder import StepRecord
from flowrun.engine.services import Services
from flowrun.engine.steps.light_client import python_path
from flowrun.engine.values import as_text
from flowrun.envs.base import ImageEnv, PrefixEnv
from flowrun.plan.plan import PlannedStep

LEFT_OUT = frozenset(
    {
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_RUN_NAME",
        "PYTHONHOME",
        "__PYVENV_LAUNCHER__",
    }
)
"""Of the caller's variables, what would mislead the step's client or interpreter."""
ZIP_EPOCH_S = 315_532_800
"""1980-01-01, the first day that a zip file (or wheel) can name; for code without a commit."""
LEFT_OUT_OF_ENVS = frozenset(
    {"CONDA_PREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV"}
)
"""What would reach into an environment of flowrun's own, or keep its packages uncompiled."""


def process_variables(
    services: Services,
    step: PlannedStep,
    env: PrefixEnv,
    own: Mapping[str, object],
    secrets: frozenset[str],
    commit_time_s: int | None,
    record: StepRecord,
    work: Path,
) -> dict[str, str]:
    """Give those of a process: the caller's, but for what is not meant for it.

    Args:
        services: their variables are the caller's.
        step: whose command it is.
        env: what it runs in.
        own: the step's `env`, evaluated.
        secrets: every secret's name in the plan; the step gets those it asks for.
        commit_time_s: of the project's code.
        record: the step's run.
        work: the step's folder.
    """
    left_out = LEFT_OUT | (secrets - set(step.secrets))
    if env.prefix is not None:
        left_out |= LEFT_OUT_OF_ENVS
    variables = {k: v for k, v in services.variables.items() if k not in left_out}
    variables |= steady_variables(commit_time_s)
    variables |= _told(step, services.endpoint.variables, record, work)
    # The step's endpoint is on this machine: a proxy must not be asked for it.
    for name in ("no_proxy", "NO_PROXY"):
        before = variables.get(name, "")
        variables[name] = ",".join(filter(None, [before, "127.0.0.1", "localhost"]))
    entries = [*map(str, env.path_entries), variables.get("PATH", os.defpath)]
    variables["PATH"] = os.pathsep.join(entries)
    variables["PYTHONPATH"] = _with_client(services, variables.get("PYTHONPATH", ""))
    variables |= env.variables
    variables |= {name: as_text(value) for name, value in own.items()}
    return variables


def container_variables(
    services: Services,
    step: PlannedStep,
    env: ImageEnv,
    own: Mapping[str, object],
    address: str | None,
    commit_time_s: int | None,
    record: StepRecord,
    work: Path,
) -> dict[str, str]:
    """Give those of a container, over the image's: of the caller's, only what is asked for.

    Args:
        services: their variables are the caller's.
        step: whose command it is.
        env: what it runs in; its `environment` names what is copied.
        own: the step's `env`, evaluated.
        address: at which the container reaches this machine; None: as this machine itself does.
        commit_time_s: of the project's code.
        record: the step's run.
        work: the step's folder.
    """
    endpoint = services.endpoint
    reached = endpoint.variables if address is None else endpoint.variables_at(address)
    variables = steady_variables(commit_time_s)
    for entry in env.docker.environment:
        name, value = (entry, services.variables[entry]) if isinstance(entry, str) else entry
        variables[name] = value
    variables |= {name: services.variables[name] for name in step.secrets}
    variables |= _told(step, reached, record, work)
    variables["PYTHONPATH"] = _with_client(services, variables.get("PYTHONPATH", env.python_path))
    variables["NO_PROXY"] = variables["no_proxy"] = ",".join(
        filter(None, [variables.get("no_proxy"), "127.0.0.1", "localhost", address])
    )
    variables |= {name: as_text(value) for name, value in own.items()}
    return variables


def steady_variables(commit_time_s: int | None) -> dict[str, str]:
    """Give what takes chance out of a command: the same for every run of the same code.

    They take the place of the caller's, which no record holds; a step's own `env` goes before
    them. Sources: Python's documentation of PYTHONHASHSEED; reproducible-builds.org, the
    specification of SOURCE_DATE_EPOCH.
    """
    return {
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(ZIP_EPOCH_S if commit_time_s is None else commit_time_s),
    }


def _told(
    step: PlannedStep, endpoint: Mapping[str, str], record: StepRecord, work: Path
) -> dict[str, str]:
    """Give what every step is told: where to log, and who it is."""
    return {
        **endpoint,
        "MLFLOW_RUN_ID": record.run_id,
        "MLFLOW_EXPERIMENT_ID": record.run.info.experiment_id,
        "FLOWRUN_OUTPUT": str(work / "output"),
        "FLOWRUN_RUN_ID": record.run_id,
        "FLOWRUN_STEP": step.id,
        "PYTHONUNBUFFERED": "1",
        # mlflow would print links to the step's own endpoint, which is gone after the run
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }


def _with_client(services: Services, before: str) -> str:
    """Give a PYTHONPATH with the light client behind what is there."""
    return os.pathsep.join(filter(None, [before, str(python_path(services.home.client))]))
