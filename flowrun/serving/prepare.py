"""From a model's URI to a command that loads it in its own environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowrun.engine.services import Home
from flowrun.engine.steps.light_client import python_path
from flowrun.engine.steps.variables import LEFT_OUT, LEFT_OUT_OF_ENVS
from flowrun.envs.base import EnvRequest, PrefixEnv
from flowrun.envs.manager import CONDA, LOCAL, VIRTUALENV
from flowrun.envs.own_place import own_place
from flowrun.envs.store import EnvStore
from flowrun.errors import UsageError
from flowrun.models.loading import Found
from flowrun.serving.fetch import fetch_model
from flowrun.serving.worker import Launch
from flowrun.spec.project import EnvKind, EnvSpec
from flowrun.valueclass import valueclass

MANAGERS = (LOCAL, VIRTUALENV, "uv", CONDA)
_ENVIRONMENT_FILES = ("python_env.yaml", "requirements.txt", "constraints.txt", "conda.yaml")


@valueclass
class Prepared:
    """A model that is here, with the environment that it is loaded in."""

    found: Found
    launch: Launch
    env: PrefixEnv


@valueclass
class Preparing:
    """What preparing a model needs of this machine."""

    envs: EnvStore
    home: Home
    variables: Mapping[str, str]
    """The caller's."""
    tracking_uri: str | None
    tell: Callable[[str], None]
    """Hears what takes time."""
    instead: Sequence[str] = ()
    """Requirements that take the place of the model's own for the same packages."""
    public_key: Path | None = None
    """What models have to be signed with; None: they need not be."""


@contextmanager
def prepared(uri: str, manager: str, using: Preparing, *extra: str) -> Iterator[Prepared]:
    """Fetch a model and have its environment; its files go away at the end of the block.

    Args:
        uri: any of a model's URIs, or a path.
        manager: one of `MANAGERS`; `local` is the Python that flowrun runs in.
        using: what it takes.
        extra: packages that predicting needs beside the model's own.

    Raises:
        FlowrunError: there is no such model, it may not be loaded, or its environment can't be had.
    """
    if manager not in MANAGERS:
        raise UsageError(f"no environment manager '{manager}': {', '.join(MANAGERS)}")
    with own_place(using.home.served) as work:
        found = fetch_model(uri, work, using.tracking_uri, using.public_key)
        env = _environment(found.folder, work / "env", manager, using, extra)
        empty = work / "work"
        empty.mkdir()
        variables = _variables(using, env)
        yield Prepared(found, Launch(env.python, found.folder, empty, variables), env)


def environment_request(
    folder: Path, into: Path, manager: str, extra: Sequence[str], instead: Sequence[str] = ()
) -> EnvRequest:
    """Give the request for a model's environment, with packages that predicting needs beside.

    Args:
        folder: the model's.
        into: a new folder for the files that describe it.
        manager: one of `MANAGERS`.
        extra: names of packages; those that the model asks for itself stay as it asks.
        instead: requirements that take the place of the model's own for the same packages.
    """
    into.mkdir()
    for name in _ENVIRONMENT_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, into / name)
    if manager == CONDA:
        return EnvRequest(EnvSpec(EnvKind.CONDA, path="conda.yaml"), into, asker="a model")
    requirements = into / "requirements.txt"
    text = requirements.read_text(encoding="utf-8") if requirements.is_file() else ""
    replaced = {_name(line) for line in instead}
    lines = [line for line in text.splitlines() if _name(line) not in replaced]
    asked = {_name(line) for line in (*lines, *instead)}
    more = [name for name in extra if name not in asked]
    requirements.write_text("".join(f"{x}\n" for x in (*lines, *instead, *more)), encoding="utf-8")
    has_file = (into / "python_env.yaml").is_file()
    path = "python_env.yaml" if has_file else "requirements.txt"
    return EnvRequest(EnvSpec(EnvKind.PYTHON, path=path), into, asker="a model")


def _environment(
    folder: Path, into: Path, manager: str, using: Preparing, extra: tuple[str, ...]
) -> PrefixEnv:
    request = environment_request(folder, into, manager, extra, using.instead)
    env = using.envs.ensure(request, manager, using.tell)
    assert isinstance(env, PrefixEnv)  # noqa: S101 - no model asks for an image
    return env


def _variables(using: Preparing, env: PrefixEnv) -> dict[str, str]:
    left_out = set(LEFT_OUT) if env.prefix is None else LEFT_OUT | LEFT_OUT_OF_ENVS
    variables = {k: v for k, v in using.variables.items() if k not in left_out}
    entries = [*map(str, env.path_entries), variables.get("PATH", os.defpath)]
    variables["PATH"] = os.pathsep.join(entries)
    before = variables.get("PYTHONPATH")
    client = str(python_path(using.home.client))
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [before, client]))
    return {**variables, **env.variables}


def _name(line: str) -> str:
    name = line.strip()
    for mark in "<>=!~[;@ ":
        name = name.partition(mark)[0]
    return name.lower().replace("_", "-")
