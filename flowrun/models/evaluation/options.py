"""What an evaluation may be told: MLflow's `evaluator_config`, by its keys there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.errors import InvalidValueError

AVERAGES = ("weighted", "macro", "micro")


@dataclass(frozen=True)
class Options:
    """What is different from the usual."""

    pos_label: object = None
    """Of two classes: the positive one; None: the one that sorts last."""
    label_list: Sequence[object] | None = None
    """All classes; None: those of the model and the data."""
    average: str = "weighted"
    """How precision, recall and F1 of more than two classes become one number."""
    sample_weights: object = None
    """What each row counts: a column's name, or a number a row."""
    metric_prefix: str = ""
    """Before the name of each metric and artifact."""
    k: int = 3
    """Of a ranking: how many of the first places count."""
    group: str | None = None
    """Of a ranking: the column that says which rows are one query."""
    calibration_bins: int = 10
    max_curves: int = 10
    """With more classes than this no curves are drawn."""
    col_mapping: Mapping[str, object] = field(default_factory=dict)
    """What own metrics call a column, and what it is called in the data."""
    rest: Mapping[str, object] = field(default_factory=dict)
    """All that was said: own metrics take arguments from it."""

    @classmethod
    def of(cls, config: Mapping[str, object] | None) -> Options:
        """Read MLflow's map, which may have one map for each evaluator.

        Raises:
            InvalidValueError: a value can't be used.
        """
        said = dict(config or {})
        for name in ("default", "classifier", "regressor"):
            inner = said.pop(name, None)
            if isinstance(inner, Mapping):
                said = {**said, **inner}
        average = str(said.get("average", "weighted"))
        if average not in AVERAGES:
            known = ", ".join(AVERAGES)
            raise InvalidValueError(f"'average' is '{average}'; it can be {known}")
        labels = said.get("label_list")
        mapping = said.get("col_mapping")
        return cls(
            pos_label=said.get("pos_label"),
            label_list=list(labels) if isinstance(labels, Sequence) else None,
            average=average,
            sample_weights=said.get("sample_weights"),
            metric_prefix=str(said.get("metric_prefix") or ""),
            k=_count(said, "retriever_k", 3),
            group=None if said.get("group") is None else str(said["group"]),
            calibration_bins=_count(said, "calibration_n_bins", 10),
            max_curves=_count(said, "max_classes_for_multiclass_roc_pr", 10),
            col_mapping=mapping if isinstance(mapping, Mapping) else {},
            rest=said,
        )


def _count(said: Mapping[str, object], name: str, usual: int) -> int:
    value = said.get(name, usual)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InvalidValueError(f"'{name}' is {value!r}; it must be a whole number, 1 or more")
