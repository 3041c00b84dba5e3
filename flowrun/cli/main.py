"""The app: names its commands by string, turns errors into messages and exit codes.

A command's module is imported when that command is called, so that `flowrun --help` and every
command pay for nothing they don't use. Exit codes: 0 good, 1 a step failed or a check differs,
2 wrong input, 3 surroundings, 70 a bug of flowrun's own, 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from flowrun.errors import (
    EnvError,
    ExecutorError,
    FlowrunError,
    NotRepeatableError,
    StoreError,
    UnreachableError,
    UsageError,
)
from flowrun.settings import load_settings
from flowrun.version import __version__

COMMANDS = {
    "run": ("run", "Run an entry point of a project and record it."),
    "plan": ("run", "Show what would run or be reused, and why; run nothing."),
    "sweep": ("sweep", "Run an entry point with many values of its parameters, and tell the best."),
    "resume": ("resume", "Go on with a run that failed, was cancelled or killed."),
    "explain": ("explain", "Say why steps of a recorded run ran, or did not have to."),
    "lock": ("lock", "Write down exactly which packages, images and projects runs take."),
    "verify": ("verify", "Execute a recorded run again and compare it step by step."),
    "schema": ("project", "Print the JSON Schema of the project file."),
    "init": ("project", "Make a new project from a template."),
    "runs": ("tracking", "List and show runs, and what they printed."),
    "experiments": ("tracking", "List experiments."),
    "models": ("registry", "List and show registered models."),
    "envs": ("envs", "List, show, build and remove environments."),
    "gc": ("gc", "Remove what was left, caches not used for long, runs deleted long ago."),
    "export": ("export", "Write a run down for others: what it made, and from what."),
    "ci": ("ci", "Let a CI system prove a project."),
    "import": ("importing", "Take over what a store of MLflow's holds."),
    "server": ("server", "Serve the store by MLflow's REST protocol."),
    "db": ("db", "Upgrade, check or back up a store."),
    "doctor": ("doctor", "Look whether everything flowrun needs is there."),
}
"""Command name to (module below flowrun.cli, one line of help), in the order of the help."""

MLFLOWS_COMMANDS = {
    "ui": "`flowrun runs list` and `runs show` show runs; `flowrun server` serves them to clients.",
}
"""What MLflow's users look for under another name, and what there is instead."""

OPTIONS_WITH_VALUE = frozenset({"--env-file", "--tracking-uri"})

EXIT_WRONG_INPUT = 2
EXIT_SURROUNDINGS = 3
EXIT_BUG = 70
EXIT_BY_SIGNAL = 128
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full disk says; where it stops the output, no other layer has heard of it."""
SURROUNDINGS = (EnvError, ExecutorError, NotRepeatableError, StoreError, UnreachableError)


class EndedBySignal(BaseException):
    """SIGINT or SIGTERM came while nothing ran that has its own way to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _open_standard_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_by_signal)
    code = _written(exit_code(sys.argv[1:]))
    # Everything is closed and written by now; taking the interpreter apart would cost a short run
    # a fifth of its time.
    os._exit(code)


def exit_code(words: Sequence[str]) -> int:
    """Run the command line; give its exit code, with a message for everything that went wrong."""
    try:
        command = command_of(words)
        if command in MLFLOWS_COMMANDS:
            raise UsageError(f"flowrun has no command '{command}'.", MLFLOWS_COMMANDS[command])
        app = make_app(command)
        gc.freeze()  # what modules hold stays: looking through it again and again takes time
        app(list(words), prog_name="flowrun")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            return 0  # typer's answer is 1, but `| head` is no failure
        return end.code if isinstance(end.code, int) else 0
    except FlowrunError as error:
        _show_error(error)
        return EXIT_SURROUNDINGS if isinstance(error, SURROUNDINGS) else EXIT_WRONG_INPUT
    except EndedBySignal as end:
        return EXIT_BY_SIGNAL + end.number
    except BrokenPipeError:
        return 0  # whoever read our output is gone (`| head`)
    except OSError as error:
        if error.errno not in NO_ROOM:
            return _show_bug()
        _echo_error(f"flowrun: {error.filename or 'standard output'}: {error.strerror}")
        return EXIT_SURROUNDINGS
    except Exception:  # noqa: BLE001 - the one place where a bug becomes a message
        return _show_bug()
    return 0


def command_of(words: Sequence[str]) -> str | None:
    """Give the command that a command line calls; None if it calls none."""
    rest = iter(words)
    for word in rest:
        if word in OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None


def make_app(command: str | None) -> typer.Typer:
    """Make the app with one command's module in full, and of the others what the help shows."""
    app = typer.Typer(
        name="flowrun",
        help="Run MLflow projects as DAGs of tracked, pinned steps.",
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global_options)
    wanted, _ = COMMANDS.get(command or "", (None, ""))
    for name, (module, text) in COMMANDS.items():
        if module != wanted:
            app.command(name, help=text)(_nothing)
        elif name == command:
            app.add_typer(importlib.import_module(f"flowrun.cli.{module}").app)
    return app


def _open_standard_streams() -> None:
    """Open on nothing what the caller has closed: else a database may get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keyword
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def _written(code: int) -> int:
    """Write what is still to be written; give the exit code, another one if that can't be done."""
    with suppress(OSError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return code  # whoever read our output is gone (`| head`)
    except OSError as error:
        _echo_error(f"flowrun: standard output: {error.strerror}")
        return code or EXIT_SURROUNDINGS
    return code


def _nothing() -> None:
    """Stand for a command that is not the one called."""


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"flowrun {__version__}")
        raise typer.Exit


def _global_options(
    ctx: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(help="Read NAME=value lines as environment variables first."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Where runs are recorded; by default flowrun's own store."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version
    ctx.obj = load_settings(env_file, tracking_uri)


def _end_by_signal(number: int, frame: FrameType | None) -> None:
    del frame
    raise EndedBySignal(number)


def _show_error(error: FlowrunError) -> None:
    _echo_error(f"flowrun: {error.message}" if "\n" not in error.message else error.message)
    if error.hint:
        _echo_error(error.hint)


def _show_bug() -> int:
    """Show the exception that is being handled, and what to do about it."""
    _echo_error(traceback.format_exc().rstrip())
    _echo_error(
        f"flowrun {__version__} on Python {sys.version.split()[0]}: this is a bug of flowrun's "
        "own; please report it with the lines above."
    )
    return EXIT_BUG


def _echo_error(text: str) -> None:
    with suppress(OSError):  # standard error can't be written: there is nobody left to tell
        typer.echo(text, err=True)
