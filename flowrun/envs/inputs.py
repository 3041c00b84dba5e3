"""All that decides a Python environment, read from the project in whichever form it is there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from flowrun.envs.base import NO_WISH, Ask, EnvRequest, Wish
from flowrun.envs.local_trees import digest_description, digest_tree
from flowrun.envs.manager import Description, Form, describe
from flowrun.envs.masking import without_credentials
from flowrun.envs.project_files import read_text
from flowrun.envs.python_env import PythonEnv, read_conda, read_python_env
from flowrun.envs.requirements import Option, Requirements, read_requirements
from flowrun.spec.project import Mark
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.envs.pyproject import Pyproject

_TREE_IN_UV_LOCK = re.compile(r'source = \{ (?:editable|directory|path) = "([^"]+)" \}')


@valueclass
class Inputs:
    """A described environment, checked."""

    description: Description
    directory: Path
    """The project's."""
    python: str | None
    """A version or range; None means the caller's version."""
    requirements: Requirements
    notes: tuple[str, ...] = ()
    uv_lock: str | None = None
    """The text of a uv.lock, which then decides instead of `requirements`."""

    def without_index(self) -> Inputs:
        """Return the same, to be had without asking any package index."""
        asked = self.requirements
        options = (*asked.options, Option("--no-index", ""))
        return replace(self, requirements=replace(asked, options=options))

    def digest(self, python: str, settings: str, wish: Wish) -> str:
        """Return sha256 hex of everything that decides the lock.

        Args:
            python: the interpreter in full. settings: digest of the index settings.
        """
        lines = ["recipe/1", python, settings, *self._lines()]
        if wish != NO_WISH:
            lines += [wish.platform or "", wish.kept, *sorted(wish.upgraded), str(wish.may_build)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def asks(self) -> Iterator[Ask]:
        """Yield what decides the lock, but for machine and settings; see `Ask`.

        Of a package of the project itself it is what it says of itself: its code may change
        without changing what it needs.
        """
        asked, start = self.requirements, Mark(self.description.label, 1, 1)
        if self.python is not None:
            yield Ask(f"python {self.python}", start)
        for each in asked.wanted:
            text = " ".join([str(each), *(f"--hash={value}" for value in each.hashes)])
            if each.path:
                text += f" (described by sha256:{digest_description(each.path)})"
            yield Ask(without_credentials(text), each.mark)
        for each in asked.constraints:
            yield Ask(without_credentials(f"-c {each}"), each.mark)
        for option in asked.options:
            yield Ask(without_credentials(f"{option.name} {option.value}".rstrip()), start)
        if self.uv_lock is not None:
            digest = hashlib.sha256(self.uv_lock.encode()).hexdigest()
            yield Ask(f"uv.lock sha256:{digest}", start)

    def _lines(self) -> Iterator[str]:
        for each in self.requirements.wanted:
            yield f"require {each} {' '.join(each.hashes)}"
            if each.path:
                yield f"tree {digest_tree(each.path)}"
        for each in self.requirements.constraints:
            yield f"constrain {each}"
        for option in self.requirements.options:
            yield f"option {option.name} {option.value}"
            if option.folder and option.folder.is_dir():
                yield " ".join(sorted(each.name for each in option.folder.iterdir()))
        if self.uv_lock is not None:
            yield f"uv.lock {hashlib.sha256(self.uv_lock.encode()).hexdigest()}"
            for path in _TREE_IN_UV_LOCK.findall(self.uv_lock):
                tree = self.description.path.parent / path
                yield f"tree {path} {digest_tree(tree) if tree.exists() else 'missing'}"


def read_inputs(request: EnvRequest) -> Inputs:
    """Read and check the files that describe an environment; nothing is executed.

    Raises:
        SpecError: all mistakes of the first file that has some.
    """
    described = describe(request)
    path, label, directory = described.path, described.label, request.directory.absolute()
    match described.form:
        case Form.PYTHON_ENV:
            found = read_python_env(path, label)
        case Form.CONDA:
            found = read_conda(path, label)
        case Form.REQUIREMENTS:
            found = PythonEnv(lines=((f"-r {label}", Mark(label, 1, 1)),))
        case Form.PYPROJECT:
            project = _read_pyproject(path, label)
            found = PythonEnv(project.python, project.lines)
            directory = path.parent
        case Form.UV_LOCK:
            return _read_uv_lock(described)
        case Form.BARE:
            found = PythonEnv()
        case _:
            assert_never(described.form)
    base = path.parent if described.form in {Form.PYTHON_ENV, Form.CONDA} else directory
    requirements = read_requirements(found.lines, directory, base)
    return Inputs(described, directory, found.python, requirements, found.notes)


def _read_uv_lock(described: Description) -> Inputs:
    lock = read_text(described.path, Mark(described.label, 1, 1))
    project = _read_pyproject(described.path.with_name("pyproject.toml"), "pyproject.toml")
    nothing = Requirements((), (), ())
    return Inputs(
        described, described.path.parent.absolute(), project.python, nothing, uv_lock=lock
    )


def _read_pyproject(file: Path, label: str) -> Pyproject:
    # by name: most projects have none, and a TOML parser takes as long to load as all else here
    read: Callable[[Path, str], Pyproject]
    read = import_module("flowrun.envs.pyproject").read_pyproject
    return read(file, label)
