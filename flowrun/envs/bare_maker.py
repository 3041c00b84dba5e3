"""Lets virtualenv make an environment with nothing in it, in this process.

A process of its own would take twice as long to start as it takes to do this. Imported on use only:
virtualenv costs more to import than a warm start may take.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from virtualenv import session_via_cli

from flowrun.envs.interpreters import Interpreter, base_executable
from flowrun.errors import EnvError


def make_bare(
    interpreter: Interpreter, to: Path, app_data: Path, caller: Mapping[str, str]
) -> None:
    """Make an environment without packages and activation scripts, which names no path of its own.

    Args:
        app_data: virtualenv's own folder, where it notes what it knows of interpreters.
        caller: variables; those that are settings for virtualenv may want other things.

    Raises:
        EnvError: virtualenv can't make one for this interpreter.
    """
    words = ["--quiet", "--no-seed", "--no-periodic-update", "--activators", ""]
    words += ["--app-data", str(app_data)]
    if interpreter.executable != base_executable():
        # Not said of the one that runs this, which need not be started and asked.
        words += ["--python", str(interpreter.executable)]
    variables = {k: v for k, v in caller.items() if not k.startswith("VIRTUALENV_")}
    variables["VIRTUALENV_CONFIG_FILE"] = os.devnull
    try:
        session_via_cli([*words, str(to)], setup_logging=False, env=variables).run()
    except (RuntimeError, SystemExit) as error:
        raise EnvError(
            f"virtualenv can't make an environment for Python {interpreter.version} "
            f"({interpreter.executable}): {error}",
            "Is this Python complete, and can it be run?",
        ) from error
