"""What a command step depends on: its manifest, from its values, inputs, code and environment."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from flowrun.engine.cache.digest import Digest
from flowrun.engine.code import Codes
from flowrun.engine.masking import Masker
from flowrun.engine.request import ProjectCode, RunRequest
from flowrun.engine.steps.local_paths import local_path_of
from flowrun.engine.values import OutputValue, as_text, with_defaults
from flowrun.envs.base import EnvLock
from flowrun.envs.manager import LOCAL
from flowrun.envs.published import key_of
from flowrun.plan.fingerprint import Kind, Label, Manifest
from flowrun.plan.plan import CommandAction, PlannedStep
from flowrun.spec.project import DockerSpec, MountSpec, ParameterType
from flowrun.valueclass import valueclass

_OWN_INTERPRETER = "# the caller's interpreter"
"""How the line of a `local` lock begins that says where the interpreter is."""


@valueclass
class Identity:
    """What decides a step, and where each part of it comes from."""

    manifest: Manifest
    fingerprint: str
    """The manifest's."""
    env: EnvLock
    origins: Mapping[str, str]
    """By name of an input that an earlier step made: its URI."""


@valueclass
class Identifier:
    """Makes the identities of one run's steps."""

    request: RunRequest
    codes: Codes
    mask: Masker

    def identify(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        env: EnvLock,
        digest_of_input: Callable[[str, str], Digest],
        after: Mapping[str, str],
    ) -> Identity:
        """Give what decides a command step.

        Args:
            step: its action is a CommandAction.
            arguments: the values of its `with`.
            variables: the values of its `env`.
            env: what it runs in.
            digest_of_input: gives the digest of the input of this name and URI.
            after: the fingerprints of the steps in its `after`, by id.

        Raises:
            OSError, FlowrunError: an input can't be read.
        """
        action = step.action
        assert isinstance(action, CommandAction)  # noqa: S101 - the caller's match
        lines = {
            Label(Kind.COMMAND): action.template,
            Label(Kind.CODE): self.codes.digest(step),
            Label(Kind.ENVIRONMENT): f"{env.backend} {_env_key(env)}",
        }
        origins: dict[str, str] = {}
        for name, value in with_defaults(action, arguments).items():
            if is_input(action, name, value):
                uri = str(value)
                if isinstance(value, OutputValue):
                    origins[name] = uri
                    digest = value.digest
                else:
                    digest = digest_of_input(name, as_text(value))
                lines[Label(Kind.INPUT, name)] = f"{_suffix(uri)}{digest.sha256}"
            else:
                lines[Label(Kind.PARAMETER, name)] = as_text(value)
        lines |= {Label(Kind.VARIABLE, name): as_text(text) for name, text in variables.items()}
        lines |= {Label(Kind.SECRET, name): "" for name in step.secrets}
        lines |= {Label(Kind.AFTER, step_id): text for step_id, text in after.items()}
        lines |= {
            Label(Kind.OUTPUT, name): f"{output.path} ({output.type.value})"
            for name, output in step.outputs.items()
        }
        if step.metrics is not None:
            lines[Label(Kind.METRICS)] = step.metrics
        if step.env is not None and step.env.docker is not None:
            options = self.request.options.docker_args
            given = {**dict(_container(step.env.docker)), **options}
            lines |= {Label(Kind.CONTAINER, name): value for name, value in given.items()}
        masked = {label: self.mask(value) for label, value in lines.items()}
        manifest = Manifest.of(masked)
        return Identity(manifest, manifest.fingerprint, env, origins)


def is_input(action: CommandAction, name: str, value: object) -> bool:
    """Tell whether an argument is a file or directory that is put at a local path."""
    declared = action.parameters.get(name)
    if declared is None:
        return isinstance(value, OutputValue) or name == action.baseline
    return declared.type is ParameterType.PATH


def find_local(value: str, project: Path, cwd: Path) -> Path | None:
    """Give the path that the text of an input means; None if it is remote, or not there."""
    local = local_path_of(value)
    if local is None or local.is_absolute():
        return local
    return next((base / local for base in (project, cwd) if (base / local).exists()), None)


def code_of(request: RunRequest, step: PlannedStep) -> ProjectCode:
    """Give the code of a step's project."""
    return request.projects[step.project]


@lru_cache(maxsize=64)
def _env_key(env: EnvLock) -> str:
    """Give the digest of a lock; where the caller's interpreter is has no say."""
    if env.backend != LOCAL:
        return key_of(env.text)
    lines = [line for line in env.text.splitlines() if not line.startswith(_OWN_INTERPRETER)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _suffix(uri: str) -> str:
    """Give a file's suffix: many a command looks at it to know how to read the file."""
    suffix = posixpath.splitext(uri.rstrip("/").rpartition("/")[2])[1]
    return f"{suffix} " if suffix else ""


def _container(docker: DockerSpec) -> Iterator[tuple[str, str]]:
    """Give what a project says of a container, but for what its processes may take."""
    for entry in docker.environment:
        if isinstance(entry, str):
            yield f"variable {entry}", "the caller's"
        else:
            yield f"variable {entry[0]}", entry[1]
    for mount in docker.mounts:
        yield f"mount {mount.target}", _mounted(mount)
    for name in ("user", "gpus", "network", "platform"):
        value = getattr(docker, name)
        if value is not None:
            yield name, str(value)


def _mounted(mount: MountSpec) -> str:
    mode = "ro" if mount.is_read_only else "rw"
    return f"{mount.type.value} {mount.source or ''} {mode}"
