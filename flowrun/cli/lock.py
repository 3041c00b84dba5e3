"""`flowrun lock`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from flowrun import api
from flowrun.cli.options import IsOffline, settings_of
from flowrun.engine.prepare.locking import Locked, summary
from flowrun.errors import StoreError, UsageError
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.lockfile import LockFile, dump

app = typer.Typer(rich_markup_mode=None, add_completion=False)

ALL = "*"
EXIT_STALE = 1
_UPGRADE = "--upgrade"
_STANDARD_OUTPUT = "-"


class _Command(TyperCommand):
    """Lets `--upgrade` stand without a name."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own kind of context
        given = []
        for word, following in zip(args, [*args[1:], "-"], strict=True):
            is_bare = word == _UPGRADE and following.startswith("-")
            given.append(f"{_UPGRADE}={ALL}" if is_bare else word)
        return super().parse_args(ctx, given)


@app.command("lock", cls=_Command)
def lock_command(
    ctx: typer.Context,
    uri: Annotated[
        str, typer.Argument(metavar="[URI]", help="The project; default: this directory.")
    ] = ".",
    version: Annotated[
        str | None,
        typer.Option("--version", "-v", help="Branch, tag, commit or refs/... of a git URI."),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            help="linux-64, linux-aarch64, osx-64 or osx-arm64; default: as it is locked already, "
            "else this machine's."
        ),
    ] = None,
    upgrade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME]",
            help="Take the newest that fits: of one package, environment, image or project, or of "
            "all.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what is stale; exit code 1 if anything is.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would change; execute nothing, write nothing."),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write to this file instead; - for the terminal."),
    ] = None,
    offline: IsOffline = False,
) -> None:
    """Write down exactly what runs of a project take: packages, images, other projects.

    What is locked stays as it is; what the project asks for beyond it is added. `flowrun run` uses
    the file, `flowrun run --locked` refuses to differ from it.
    """
    settings = settings_of(ctx, offline=offline)
    names = upgrade or []
    made = api.lock(
        uri,
        version=version,
        platforms=platform or (),
        upgrade=True if ALL in names else names,
        may_build=not dry_run,
        is_check=check,
        settings=settings,
        progress=_tell,
    )
    for note in made.notes:
        _tell(f"note: {note}")
    if check:
        _check(made)
        return
    text = dump(made.file)
    if output == _STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    target = _target(made, uri, output, settings.cwd)
    for line in summary(made.before or LockFile(), made.file):
        typer.echo(line)
    is_same = target.is_file() and target.read_text(encoding="utf-8") == text
    if dry_run:
        typer.echo(f"{target} is up to date" if is_same else f"{target} would be written")
    elif is_same:
        typer.echo(f"{target} is up to date")
    else:
        _write(target, text)
        typer.echo(f"wrote {target}")


def _check(made: Locked) -> None:
    if made.before is None:
        typer.echo(f"there is no {LOCK_FILE}")
        raise typer.Exit(EXIT_STALE)
    for problem in made.stale:
        typer.echo(str(problem))
    if made.stale:
        raise typer.Exit(EXIT_STALE)
    typer.echo(f"{LOCK_FILE} is up to date")


def _target(made: Locked, uri: str, output: str | None, cwd: Path) -> Path:
    if output is not None:
        return cwd / output
    directory = made.source.directory
    if directory is None:
        raise UsageError(
            f"{uri} is not a directory of yours, so nothing can be written beside its MLproject",
            "Name a file with --output.",
        )
    return directory / LOCK_FILE


def _write(target: Path, text: str) -> None:
    """Write the file so that a reader sees all of the old one or all of the new one."""
    beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
        beside.replace(target)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _tell(text: str) -> None:
    with suppress(OSError):
        typer.echo(text, err=True)
