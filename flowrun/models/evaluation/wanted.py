"""What an evaluation is to compute, whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrun.models.evaluation.limits import Limit
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.own_metrics import EvaluationMetric
from flowrun.models.evaluation.slices import Slice

CustomArtifact = Callable[[Any, Mapping[str, float], str], object]
"""Takes a table of prediction and target, the metrics and a folder; gives artifacts by name."""


@dataclass(frozen=True)
class Wanted:
    """What is to be computed."""

    kind: str | None
    predictions: str | None = None
    options: Options = field(default_factory=Options)
    own: tuple[EvaluationMetric, ...] = ()
    custom_artifacts: tuple[CustomArtifact, ...] = ()
    slices: tuple[Slice, ...] = ()
    limits: tuple[Limit, ...] = ()
    named: tuple[str, ...] = ()
    """Short names of metrics that are logged under these as well."""
    model_id: str | None = None
    is_first: bool = False
    """There could be a champion, but there is none yet."""
    logs_data: bool = True
