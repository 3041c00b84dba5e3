"""`flowrun runs diff`: how two recorded runs differ."""

from __future__ import annotations

import importlib
import json
from functools import partial
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.proof.canonical import clean
from flowrun.proof.code import compare_code
from flowrun.proof.compare import compare_runs
from flowrun.proof.difference_json import difference_to_json
from flowrun.proof.reading import RunReader
from flowrun.surroundings import source_cache


def diff_command(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Argument(metavar="A", help="Run id, its first digits, or `latest`.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    with_same: Annotated[
        bool, typer.Option("--all", help="With what is the same, and all of a long patch.")
    ] = False,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show how two runs differ: parameters, code, environments, inputs, outputs, metrics.

    The exit code is 0 whether they differ or not: `flowrun verify` is the command that checks.
    """
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores:
        reader = RunReader(stores)
        difference = compare_runs(reader.read(before), reader.read(after))
        tell = partial(typer.echo, err=True)
        cache = source_cache(settings)
        code = compare_code(difference.before, difference.after, stores, cache, tell)
    if as_json:
        typer.echo(json.dumps(clean(difference_to_json(difference, code)), indent=2))
        return
    # By name: rich takes 50 ms, which the other commands on runs do without.
    show = importlib.import_module("flowrun.cli.diff_view").show_difference
    show(difference, code, with_same=with_same, is_terminal=settings.is_terminal)
