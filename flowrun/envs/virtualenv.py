"""The virtualenv backend: virtualenv makes an environment, uv resolves and fills it."""

from __future__ import annotations

import functools
from pathlib import Path

from flowrun.envs.base import Ask, EnvRequest, PrefixEnv, Progress
from flowrun.envs.find_uv import find_uv
from flowrun.envs.given_lock import check_pins, check_tag
from flowrun.envs.index_settings import forbids_index, uv_variables
from flowrun.envs.inputs import Inputs, read_inputs
from flowrun.envs.interpreters import Interpreter, Interpreters
from flowrun.envs.lock import TAG, python_of
from flowrun.envs.manager import VIRTUALENV
from flowrun.envs.recipe import Surroundings
from flowrun.envs.tools import Tools
from flowrun.envs.virtualenv_recipe import VirtualenvRecipe
from flowrun.errors import EnvError


class VirtualenvBackend:
    """Environments of one Python with packages from an index."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    # Read when they are needed: an environment that is there is found without them.

    @functools.cached_property
    def _tools(self) -> Tools:
        own = self._surroundings
        return Tools(
            functools.cache(find_uv), uv_variables(own.variables), own.variables, own.memos
        )

    @functools.cached_property
    def _interpreters(self) -> Interpreters:
        own, tools = self._surroundings, self._tools
        return Interpreters(
            own.memos, tools.uv, tools.uv_variables, own.caller_python, own.is_cancelled
        )

    def check(self, request: EnvRequest) -> None:
        """Read everything, and see that the Python is there or can be fetched."""
        inputs = read_inputs(request)
        python = inputs.python
        if request.lock is not None:
            python = _checked(request.lock, inputs).partition(" ")[0]
        if python is None or self._interpreters.find(python):
            return
        if not self._interpreters.may_fetch(python):
            raise self._interpreters.missing(python)

    def recipe(self, request: EnvRequest, progress: Progress) -> VirtualenvRecipe:
        """Read everything, and have uv download the Python if it is not there and may be."""
        inputs = read_inputs(request)
        if forbids_index(self._surroundings.variables):
            inputs = inputs.without_index()
        if request.lock is None:
            interpreter = self._interpreter(inputs.python, progress)
        else:
            interpreter = self._locked_interpreter(request.lock, inputs, progress)
        return VirtualenvRecipe(inputs, interpreter, self._tools, request.wish)

    def asks(self, request: EnvRequest) -> tuple[Ask, ...]:
        """Return what the files say."""
        return tuple(read_inputs(request).asks())

    def _interpreter(self, wanted: str | None, progress: Progress) -> Interpreter:
        found = self._interpreters.find(wanted)
        if found is not None or wanted is None:
            return found or self._interpreters.caller()
        if not self._interpreters.may_fetch(wanted):
            raise self._interpreters.missing(wanted)
        progress(f"downloading Python {wanted}")
        return self._interpreters.fetch(wanted)

    def _locked_interpreter(self, lock: str, inputs: Inputs, progress: Progress) -> Interpreter:
        """Check a given lock, and find the very Python that it was made for."""
        python = _checked(lock, inputs)
        found = self._interpreter(python.partition(" ")[0], progress)
        if str(found) != python:
            raise EnvError(
                f"{_label(inputs)}: it is for Python {python}, which this machine can't run."
            )
        return found

    def env(self, key: str, lock: str, prefix: Path) -> PrefixEnv:
        """Describe the environment: its `bin` first on PATH, VIRTUAL_ENV as if activated."""
        return PrefixEnv(
            backend=VIRTUALENV,
            key=key,
            prefix=prefix,
            python=prefix / "bin/python",
            lock=lock,
            path_entries=(prefix / "bin",),
            variables={"VIRTUAL_ENV": str(prefix)},
        )

    def unhealthy(self, env: PrefixEnv) -> str | None:
        """Look for the interpreter (a link to one that may be uninstalled) and the packages."""
        if not env.python.exists():
            return "its interpreter is gone"
        prefix = env.python.parent.parent
        if not (prefix / "pyvenv.cfg").exists():
            return "its pyvenv.cfg is gone"
        if not any((prefix / "lib").glob("python3*/site-packages")):
            return "its packages are gone"
        return None


def _checked(lock: str, inputs: Inputs) -> str:
    """Check a given lock; return the Python that it is for."""
    check_tag(lock, TAG, _label(inputs))
    check_pins(lock, inputs, _label(inputs))
    return python_of(lock)


def _label(inputs: Inputs) -> str:
    return f"lock of {inputs.description.label}"
