"""Checks where the files of a new model version are said to lie, and whose they are.

A version's source is opened later by whoever loads the model, so it must be what it says: files of
the run or logged model it names, or a plain remote URI.
Source: MLflow REST API, "Create ModelVersion"; MLflow's advisories on model sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flowrun.server.messages import Stores
from flowrun.server.places import PROXIED, check_location, is_local


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A checked source and what it comes from."""

    source: str
    run_id: str | None
    model_id: str | None


def check_source(
    stores: Stores, source: str, *, run_id: str | None, model_id: str | None
) -> ModelSource:
    """Give the source with the run and the logged model it belongs to.

    Raises:
        InvalidValueError: the source can't belong to what the request names.
    """
    check_location(source, "model version source")
    scheme = urlsplit(source).scheme
    if scheme in {"models", "runs"}:
        return _named(stores, source, run_id, model_id)
    if is_local(source) or scheme == PROXIED:
        _check_inside(stores, source, run_id, model_id)
    return ModelSource(source, run_id, model_id)
