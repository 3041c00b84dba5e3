"""Options that several commands have."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from flowrun.settings import Settings

TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="A tracking server; by default flowrun's own store."),
]


def settings_of(ctx: typer.Context, tracking_uri: str | None) -> Settings:
    """Give the settings of a command that was given this `--tracking-uri`, or none."""
    settings: Settings = ctx.obj
    return replace(settings, tracking_uri=tracking_uri) if tracking_uri else settings
