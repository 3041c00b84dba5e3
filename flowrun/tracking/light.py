"""Which files make up the light client: what the engine puts into the environment of a step."""

from __future__ import annotations

LIGHT_MODULES: tuple[str, ...] = (
    "flowrun/__init__.py",
    "flowrun/version.py",
    "flowrun/errors.py",
    "flowrun/models/__init__.py",
    "flowrun/models/arrays.py",
    "flowrun/models/block_yaml.py",
    "flowrun/models/enforce.py",
    "flowrun/models/example.py",
    "flowrun/models/flavors/__init__.py",
    "flowrun/models/flavors/backends.py",
    "flowrun/models/flavors/base.py",
    "flowrun/models/flavors/pyfunc.py",
    "flowrun/models/flavors/sklearn.py",
    "flowrun/models/full_yaml.py",
    "flowrun/models/loading.py",
    "flowrun/models/log.py",
    "flowrun/models/mlmodel.py",
    "flowrun/models/places.py",
    "flowrun/models/python_model.py",
    "flowrun/models/registering.py",
    "flowrun/models/requirements.py",
    "flowrun/models/saving.py",
    "flowrun/models/schema.py",
    "flowrun/models/signature.py",
    "flowrun/models/uri.py",
    "flowrun/tracking/__init__.py",
    "flowrun/tracking/fluent.py",
    "flowrun/tracking/light_artifacts.py",
    "flowrun/tracking/light_http.py",
    "flowrun/tracking/light_run.py",
    "flowrun/tracking/light_session.py",
    "flowrun/tracking/metric_queue.py",
)
"""Paths relative to the folder that holds the package; they need nothing else of flowrun."""
