"""The app: names its commands by string, turns errors into messages and exit codes.

A command's module is imported when that command is called, so that `flowrun --help` and every
command pay for nothing they don't use. Exit codes: 0 good, 1 a step failed or a check differs,
2 wrong input, 3 surroundings, 70 a bug of flowrun's own, 130 Ctrl-C.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import click
import typer
import typer.main
from typer.core import TyperGroup

from flowrun.errors import (
    EnvError,
    ExecutorError,
    FlowrunError,
    StoreError,
    UnreachableError,
)
from flowrun.version import __version__

COMMANDS = {
    "run": ("run", "Run an entry point of a project and record it."),
    "plan": ("run", "Show what would run, and run nothing."),
    "schema": ("project", "Print the JSON Schema of the project file."),
    "init": ("project", "Make a new project from a template."),
    "runs": ("tracking", "List and show runs, and what they printed."),
    "experiments": ("tracking", "List experiments."),
    "models": ("registry", "List and show registered models."),
    "server": ("server", "Serve the store by MLflow's REST protocol."),
    "doctor": ("doctor", "Look whether everything flowrun needs is there."),
}
"""Command name to (module below flowrun.cli, one line of help), in the order of the help."""

EXIT_WRONG_INPUT = 2
EXIT_SURROUNDINGS = 3
EXIT_BUG = 70
EXIT_CTRL_C = 130
SURROUNDINGS = (EnvError, ExecutorError, StoreError, UnreachableError)


class LazyGroup(TyperGroup):
    """Knows its commands by name; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give all names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"flowrun.cli.{COMMANDS[cmd_name][0]}")
        group = typer.main.get_group(module.app)
        return group.get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


app = typer.Typer(
    name="flowrun",
    cls=LazyGroup,
    help="Run MLflow projects as DAGs of tracked, pinned steps.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"flowrun {__version__}")
        raise typer.Exit


@app.callback()
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
    from_settings = importlib.import_module("flowrun.settings")
    ctx.obj = from_settings.load_settings(env_file, tracking_uri)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(exit_code())


def exit_code() -> int:
    """Run the command line; give its exit code, with a message for everything that went wrong."""
    try:
        result = app(standalone_mode=False)
    except click.exceptions.Abort:
        return EXIT_CTRL_C
    except click.ClickException as error:
        error.show()
        return EXIT_WRONG_INPUT
    except FlowrunError as error:
        _show_error(error)
        return EXIT_SURROUNDINGS if isinstance(error, SURROUNDINGS) else EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        return EXIT_CTRL_C
    except BrokenPipeError:
        # Whoever read our output is gone (`| head`); nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - the one place where a bug becomes a message
        traceback.print_exc()
        typer.echo(
            f"flowrun {__version__} on Python {sys.version.split()[0]}: this is a bug of flowrun's "
            "own; please report it with the lines above.",
            err=True,
        )
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def _show_error(error: FlowrunError) -> None:
    typer.echo(
        f"flowrun: {error.message}" if "\n" not in error.message else error.message, err=True
    )
    if error.hint:
        typer.echo(error.hint, err=True)
