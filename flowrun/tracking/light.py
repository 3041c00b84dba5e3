"""Which files make up the light client: what the engine puts into the environment of a step."""

from __future__ import annotations

LIGHT_MODULES: tuple[str, ...] = (
    "flowrun/__init__.py",
    "flowrun/version.py",
    "flowrun/tracking/__init__.py",
    "flowrun/tracking/fluent.py",
    "flowrun/tracking/light_artifacts.py",
    "flowrun/tracking/light_http.py",
    "flowrun/tracking/light_run.py",
    "flowrun/tracking/light_session.py",
    "flowrun/tracking/metric_queue.py",
)
"""Paths relative to the folder that holds the package; they need nothing else of flowrun."""
