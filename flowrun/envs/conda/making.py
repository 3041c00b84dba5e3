"""Locks and builds one conda environment. Imported on use only: a warm one needs none of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flowrun.envs import lock as locks
from flowrun.envs.conda.activation import note_activation
from flowrun.envs.conda.failures import explained
from flowrun.envs.conda.lock import CondaLock, python_version
from flowrun.envs.conda.on_use import conda_packages
from flowrun.envs.conda.recipe import CondaAsked
from flowrun.envs.process import CommandFailedError
from flowrun.envs.published import key_of
from flowrun.envs.system import installed_in
from flowrun.envs.uv_packages import UvPackages
from flowrun.envs.workshop import Workshop
from flowrun.errors import EnvError

_HEALTHY = "import _ctypes, _hashlib, _ssl, json, zlib"
"""What breaks when a package has lost its libraries; the modules around them take much longer."""


class CondaMaker:
    """Locks and builds one environment. For one thread, in one workshop.

    conda's packages go first. What the `pip:` section asks for is resolved for the Python that is
    then there, leaving out what conda has brought.
    """

    def __init__(self, asked: CondaAsked) -> None:
        self._wish = asked.wish
        self._file = asked.file
        self._inputs = asked.inputs
        self._channels = asked.channels
        self._machine = asked.machine
        self._tools = asked.tools
        self._pip = UvPackages(asked.inputs, asked.tools)
        self._placed = ""
        self._label = asked.inputs.description.label

    def lock(self, shop: Workshop) -> str:
        """Let rattler choose conda's packages, and uv those of pip's section."""
        specs, env = self._file.specs, f"environment of {self._label}"
        shop.progress(f"resolving {self._label} ({_count(len(specs), 'conda package')})")
        try:
            conda = conda_packages().solve(
                specs,
                self._channels,
                self._machine,
                shop.folder,
                shop.is_cancelled,
                replace(self._wish, kept=CondaLock.parse(self._wish.kept).conda),
            )
        except EnvError as error:
            raise explained(error, env, specs, self._channels, shop.log) from error
        pip = self._pip_part(conda, shop, env) if self._inputs.requirements.wanted else ""
        return CondaLock(conda, pip, self._file.variables).render()

    def build(self, lock: str, shop: Workshop) -> None:
        """Install conda's packages, then pip's, and see that the Python starts."""
        parts, env = CondaLock.parse(lock), f"env {key_of(lock)[:8]} ({self._label})"
        self._place(parts.conda, shop, env)
        if parts.pip:
            self._pip.install(parts.pip, shop, _python(shop), env)
        try:
            if python_version(lock):
                shop.run([_python(shop), "-I", "-c", _HEALTHY], self._variables, what="its Python")
            note_activation(shop, self._variables)
        except CommandFailedError as error:
            raise EnvError(f"{env}: {error.message}", error.hint) from error

    def _place(self, conda: str, shop: Workshop, env: str) -> None:
        """Install the packages of a rattler lock, unless `lock` has just done so."""
        if self._placed == conda and shop.prefix.exists():
            return
        try:
            conda_packages().install(
                conda, shop.prefix, self._channels, self._machine, shop.folder, shop.is_cancelled
            )
        except EnvError as error:
            raise explained(error, env, self._file.specs, self._channels, shop.log) from error
        self._placed = conda

    def _pip_part(self, conda: str, shop: Workshop, env: str) -> str:
        version = python_version(conda)
        if version is None:
            first = self._inputs.requirements.wanted[0].mark
            raise EnvError(
                f"{env}: the `pip:` section ({first.file}:{first.line}) needs a Python, but no "
                "dependency brings one.",
                "Add python to `dependencies`.",
            )
        self._place(conda, shop, env)
        there = installed_in(map(str, shop.prefix.glob("lib/python3*/site-packages")))
        names = sorted({each.split("==")[0] for each in there})
        if self._machine.is_here:  # else its Python can't be asked
            self._refuse_other_than_there(set(names), shop, env)
        shop.progress(f"resolving what {self._label} wants from pip")
        python = _python(shop) if self._machine.is_here else version
        kept = CondaLock.parse(self._wish.kept).pip
        wish = replace(self._wish, kept=kept)
        resolved = self._pip.resolve(shop, python, env, wish, excluded=names)
        return locks.render(version, resolved.packages, resolved.trees)

    def _refuse_other_than_there(self, names: set[str], shop: Workshop, env: str) -> None:
        """Refuse a requirement that would replace what conda has brought."""
        for each in self._inputs.requirements.wanted:
            if each.name not in names:
                continue
            (shop.folder / "there.txt").write_text(f"{each.text}\n", encoding="utf-8")
            command = self._tools.uv(
                *("pip", "install", "--dry-run", "--no-deps", "--no-index", "--no-config"),
                *("--python", _python(shop), "--requirements", "there.txt"),
            )
            variables = {k: v for k, v in self._variables.items() if not k.startswith("UV_")}
            try:
                shop.run(command, variables, what="uv pip install --dry-run")
            except CommandFailedError as error:
                raise EnvError(
                    f"{env}: '{each}' ({each.mark.file}:{each.mark.line}) asks pip for another "
                    f"version of '{each.name}' than conda installs.",
                    "Ask for it in one place: as a conda dependency or in the `pip:` section.",
                ) from error

    @property
    def _variables(self) -> dict[str, str]:
        """The caller's, without what is meant for other environments."""
        caller = self._tools.caller_variables
        return {k: v for k, v in caller.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _python(shop: Workshop) -> Path:
    return shop.prefix / "bin/python"


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
