"""What an environment is, and how one is asked for. `recipe.py` has what a backend promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from flowrun.spec.project import DockerSpec, EnvSpec, Mark
from flowrun.valueclass import valueclass


@valueclass
class PrefixEnv:
    """A built environment in a folder, used by its absolute path: no `activate`."""

    backend: str
    """`virtualenv`, `conda` or `local`, as in the tag `mlflow.project.env`."""
    key: str
    """sha256 hex of the lock; '' for the caller's own interpreter."""
    prefix: Path | None
    """None for the caller's own interpreter."""
    python: Path
    lock: str
    """Exact packages with hashes, a text; for the caller's own interpreter what is known of it."""
    path_entries: tuple[Path, ...] = ()
    """Go first on PATH."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set for the step (VIRTUAL_ENV, CONDA_PREFIX, ...)."""


@valueclass
class ImageEnv:
    """An image of a container engine, as exactly as it can be named."""

    backend: str
    """`docker`, as in the tag `mlflow.project.env`."""
    key: str
    """sha256 hex of the lock."""
    lock: str
    """The image with its digest (its id, if no registry knows it), a text."""
    name: str
    """As people know it: `python:3.12`."""
    image_id: str
    """What containers are made of: a tag may move at any moment, this can't."""
    docker: DockerSpec
    """What its containers are given."""
    python_path: str = ""
    """The image's own PYTHONPATH."""


Env = PrefixEnv | ImageEnv


@valueclass
class EnvLock:
    """What an environment consists of, known without it being there."""

    backend: str
    """As `PrefixEnv.backend`."""
    text: str
    """As `PrefixEnv.lock`."""


@valueclass
class Wish:
    """How an environment is to be resolved, beyond what the project asks for."""

    platform: str | None = None
    """conda's name of another platform to resolve for; None: this machine."""
    kept: str = ""
    """An earlier lock: its versions stay as long as they still fit."""
    upgraded: frozenset[str] = frozenset()
    """Normalised names of packages in `kept` that get their newest fitting version."""
    may_build: bool = True
    """Whether packages without a wheel may be built to see what they need; that runs their code."""
    is_built_then: bool = True
    """Whether the environment is made right after, so that parts of it may be begun meanwhile."""


NO_WISH = Wish()


@valueclass
class Ask:
    """One thing that a project says of an environment; all of them decide what is resolved."""

    text: str
    """One line, without credentials."""
    mark: Mark
    """Where it stands, as exactly as it is known."""


@valueclass
class EnvRequest:
    """An environment asked for by a step of a project whose files lie in `directory`."""

    spec: EnvSpec
    directory: Path
    """The project's directory: read only, nothing in it is executed."""
    baked_as: str | None = None
    """Of an image: make one of this name that has the project's files in it as well."""
    asker: str = ""
    """Who asks, as people know it: the project's address, without credentials."""
    lock: str | None = None
    """The text of a lock (an earlier `Env.lock`): exactly that is to be had, nothing is resolved.
    It may come from anywhere, so it is checked against what the project asks for."""
    manager: str | None = None
    """What made the environment that is to be had again; goes before the manager asked for."""
    wish: Wish = NO_WISH
    """For what is resolved; nothing is, where there is a `lock`."""


def never() -> bool:
    """Say no: nobody cancels this."""
    return False


class Progress(Protocol):
    """Told in plain words what is going on (`resolving 12 requirements`, `building ...`)."""

    def __call__(self, text: str, /) -> None:
        """Take one line."""
