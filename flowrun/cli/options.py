"""Options that several commands have."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from flowrun.settings import OFFLINE, Settings

TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="A tracking server; by default flowrun's own store."),
]


IsOffline = Annotated[
    bool,
    typer.Option("--offline", help="Fetch nothing: code, packages and images from caches only."),
]


def settings_of(
    ctx: typer.Context, tracking_uri: str | None = None, *, offline: bool = False
) -> Settings:
    """Give the settings of a command that was given these options, or none of them."""
    settings: Settings = ctx.obj
    if offline:
        settings = replace(settings, variables={**settings.variables, OFFLINE: "1"})
    return replace(settings, tracking_uri=tracking_uri) if tracking_uri else settings
