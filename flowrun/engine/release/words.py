"""What an engine's step did, in words: the same when it is done and when a finished run is read."""

from __future__ import annotations

from flowrun.plan.expressions import StepResult


def selected_text(best: StepResult, metric: str) -> str:
    """Say which step was selected, and by which value."""
    return f"{best.id} ({metric} {best.metrics[metric]:g})"


def registered_text(name: str, version: str) -> str:
    """Say which version of which model there is now."""
    return f"{name} version {version}"


def promoted_text(name: str, version: str, stage: str | None, alias: str | None) -> str:
    """Say what a version is now."""
    return f"{name} version {version} is now {places_text(stage, alias)}"


def places_text(stage: str | None, alias: str | None) -> str:
    """Name the places of a promotion; at least one of them is given."""
    return " and ".join(place for place in (stage, alias) if place is not None)
