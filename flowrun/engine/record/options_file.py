"""The file of a run that says how it was asked for, so that it can be gone on with just so."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.engine.request import RunOptions
from flowrun.valueclass import valueclass

OPTIONS_FILE = "flowrun/options.json"


@valueclass
class AskedOptions:
    """Those options of a run that decide what its steps do, and which of them run."""

    env_manager: str | None = None
    is_cache_on: bool = True
    fail_fast: bool = False
    rerun: frozenset[str] = frozenset()
    is_dry_run: bool = False
    """Of the registry's steps."""


def options_text(options: RunOptions) -> str | None:
    """Give the file's text; None where nothing but the usual was asked for."""
    told: dict[str, object] = {}
    if options.env_manager is not None:
        told["env_manager"] = options.env_manager
    if not options.is_cache_on:
        told["is_cache_on"] = False
    if options.fail_fast:
        told["fail_fast"] = True
    if options.rerun:
        told["rerun"] = sorted(options.rerun)
    if options.releasing.is_dry_run:
        told["dry_run_registry"] = True
    return json.dumps(told, indent=2) + "\n" if told else None


def parse_options(data: Mapping[str, object] | None) -> AskedOptions:
    """Take the file's JSON apart; what it does not say, or says wrongly, is as usual."""
    told = data or {}
    manager, rerun = told.get("env_manager"), told.get("rerun")
    return AskedOptions(
        manager if isinstance(manager, str) else None,
        told.get("is_cache_on") is not False,
        told.get("fail_fast") is True,
        frozenset(map(str, rerun)) if isinstance(rerun, list) else frozenset(),
        told.get("dry_run_registry") is True,
    )
