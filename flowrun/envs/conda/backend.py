"""The conda backend: py-rattler solves and installs conda packages, uv the `pip:` section."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from flowrun.envs.base import Ask, EnvRequest, PrefixEnv, Progress
from flowrun.envs.conda.activation import noted_activation, prefix_variables
from flowrun.envs.conda.channels import Channels, public_address
from flowrun.envs.conda.file import CondaFile, Spec, read_conda_file
from flowrun.envs.conda.lock import python_version, variables_of
from flowrun.envs.conda.machine import Machine, overrides_of, subdir_of
from flowrun.envs.conda.on_use import conda_packages
from flowrun.envs.conda.recipe import CondaAsked, CondaRecipe
from flowrun.envs.conda.settings import read_settings
from flowrun.envs.find_uv import find_uv
from flowrun.envs.index_settings import forbids_index, uv_variables
from flowrun.envs.inputs import Inputs
from flowrun.envs.manager import CONDA, Form, describe
from flowrun.envs.published import write_whole
from flowrun.envs.recipe import Surroundings
from flowrun.envs.requirements import read_requirements
from flowrun.envs.tools import Tools
from flowrun.spec.project import Mark

CheckGiven = Callable[[str, CondaFile, Inputs, Channels, str], None]


class CondaBackend:
    """Environments of conda packages, with packages from a Python index on top."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._caller = surroundings.variables
        self._memos = surroundings.memos / "conda"

    def check(self, request: EnvRequest) -> None:
        """Read everything; dependencies that were never seen before are shown to rattler too."""
        file, inputs = self._read(request)
        _check_lock(request, file, inputs, self._channels(file), subdir_of(self._caller))
        texts = "\n".join(spec.text for spec in file.specs)
        seen = self._memos / "specs" / hashlib.sha256(texts.encode()).hexdigest()[:32]
        if not seen.exists():
            conda_packages().check_specs(file.specs)
            write_whole(seen, "")

    def recipe(self, request: EnvRequest, progress: Progress) -> CondaRecipe:  # noqa: ARG002
        """Read everything; nothing is fetched yet."""
        file, inputs = self._read(request)
        here, there = subdir_of(self._caller), request.wish.platform
        overrides = overrides_of(self._caller)
        machine = Machine(there or here, overrides, self._memos, is_here=there in {None, here})
        tools = Tools(
            functools.cache(find_uv), uv_variables(self._caller), self._caller, self._memos
        )
        channels = self._channels(file)
        _check_lock(request, file, inputs, channels, machine.subdir)
        asked = CondaAsked(file, inputs, channels, machine, tools, request.wish)
        return CondaRecipe(asked)

    def asks(self, request: EnvRequest) -> tuple[Ask, ...]:
        """Return what the conda.yaml says."""
        file, inputs = self._read(request)
        start = Mark(inputs.description.label, 1, 1)
        asked = [Ask(f"channel {public_address(name)}", start) for name in file.channels]
        asked += [Ask(public_address(str(spec)), spec.mark) for spec in file.specs]
        asked += [Ask(f"variable {name}={value!r}", start) for name, value in file.variables]
        return (*asked, *(Ask(f"pip: {each.text}", each.mark) for each in inputs.asks()))

    def env(self, key: str, lock: str, prefix: Path) -> PrefixEnv:
        """Describe the environment as `conda activate` would make it, and with its variables."""
        activation = noted_activation(prefix)
        return PrefixEnv(
            backend=CONDA,
            key=key,
            prefix=prefix,
            python=prefix / "bin/python",
            lock=lock,
            path_entries=(*activation.path_entries, prefix / "bin"),
            variables={
                **prefix_variables(prefix),
                **activation.variables,
                **dict(variables_of(lock)),
            },
        )

    def unhealthy(self, env: PrefixEnv) -> str | None:
        """Look for conda's records, and for the Python if its lock has one."""
        prefix = env.python.parent.parent
        if not (prefix / "conda-meta/history").exists():
            return "its records are gone"
        if python_version(env.lock) and not env.python.exists():
            return "its interpreter is gone"
        if python_version(env.lock) and not any((prefix / "lib").glob("python3*/site-packages")):
            return "its packages are gone"
        return None

    def _read(self, request: EnvRequest) -> tuple[CondaFile, Inputs]:
        described = describe(request)
        directory = request.directory.absolute()
        if described.form is Form.CONDA:
            file = read_conda_file(described.path, described.label)
            folder = described.path.parent
        else:  # no environment file, and conda asked for on the command line
            file = CondaFile(specs=(Spec("python", "python", Mark(described.label, 1, 1)),))
            folder = directory
        requirements = read_requirements(file.pip_lines, directory, folder)
        inputs = Inputs(described, directory, None, requirements)
        if forbids_index(self._caller):
            inputs = inputs.without_index()
        return file, inputs

    def _channels(self, file: CondaFile) -> Channels:
        return Channels.of(file, read_settings(self._caller))


def _check_lock(
    request: EnvRequest, file: CondaFile, inputs: Inputs, channels: Channels, subdir: str
) -> None:
    if request.lock is not None:
        # by name: few requests have a lock of their own
        check: CheckGiven = import_module("flowrun.envs.conda.given").check_given
        check(request.lock, file, inputs, channels, subdir)
