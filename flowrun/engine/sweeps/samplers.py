"""What says which values the next trial of a sweep has."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from flowrun.errors import UnsupportedError, UsageError
from flowrun.plan.sweep import Values, draw, grid_of
from flowrun.spec.parse_space import Space
from flowrun.valueclass import valueclass

GRID = "grid"
RANDOM = "random"
OPTUNA_SAMPLERS = ("tpe", "cmaes", "gp", "nsgaii", "qmc")
SAMPLERS = (GRID, RANDOM, *OPTUNA_SAMPLERS)
PRUNERS = ("median", "halving", "hyperband")
_OPTUNA = "flowrun.engine.sweeps.optuna_study"


class TrialState(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"
    FAILED = "failed"
    PRUNED = "pruned"
    """Ended early, since it did worse than others at the same point."""
    KILLED = "killed"
    """Cancelled: it is tried again when the sweep is gone on with."""


@valueclass
class Trial:
    """One trial of a sweep that is over."""

    number: int
    """From 0."""
    step_id: str
    values: Values
    state: TrialState
    value: float | None = None
    """Of the metric that the sweep looks at; None: it has none."""
    run_id: str | None = None
    """The run that stands for it, maybe one of before."""
    detail: str = ""


@valueclass
class SweepSpec:
    """What a sweep was asked for; what it is gone on with."""

    space: Space
    trials: int | None
    """At most; None: all of the grid."""
    sampler: str
    seed: int
    parallel: int = 1
    metric: str | None = None
    is_max: bool = False
    pruner: str | None = None


class Sampler(Protocol):
    """Proposes trials. Called from one thread."""

    def ask(self, number: int) -> Values | None:
        """Give the values of a trial; None: there are no more."""

    def tell(self, trial: Trial) -> None:
        """Take note of a trial that is over: one that was asked for, or one of before."""

    def is_worse(self, number: int, points: Sequence[tuple[int, float]]) -> bool:
        """Tell whether a trial that is under way may end, by its metric at each step."""


def make_sampler(spec: SweepSpec) -> Sampler:
    """Make what a sweep asks.

    Raises:
        UsageError: it can't be with this space. UnsupportedError: Optuna is not installed.
    """
    if spec.sampler in OPTUNA_SAMPLERS or spec.pruner is not None:
        try:
            # by name: it takes half a second to import, and may not be installed
            make: Callable[[SweepSpec], Sampler] = importlib.import_module(_OPTUNA).OptunaStudy
        except ModuleNotFoundError as error:
            raise UnsupportedError(
                f"--sampler {spec.sampler} and --pruner need Optuna, and {error.name} is missing",
                "Install it with: pip install 'flowrun[optuna]'. `grid` and `random` need nothing.",
            ) from error
        return make(spec)
    return ListedSampler(spec)


def proposals(spec: SweepSpec) -> Callable[[int], Values | None]:
    """Give the values of each trial of a grid or of chance, by its number.

    Raises:
        UsageError: the space is no grid.
    """
    if spec.sampler == GRID:
        grid = grid_of(spec.space)
        return lambda number: grid[number] if number < len(grid) else None
    return lambda number: draw(spec.space, spec.seed, number)


@dataclass(slots=True)
class ListedSampler:
    """A grid, or chance: what was before has no say in what comes."""

    spec: SweepSpec
    propose: Callable[[int], Values | None] = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a space that can't be listed."""
        self.propose = proposals(self.spec)

    def ask(self, number: int) -> Values | None:
        """Give the values of a trial; None: there are no more."""
        return self.propose(number)

    def tell(self, trial: Trial) -> None:
        """Take no note."""

    def is_worse(self, number: int, points: Sequence[tuple[int, float]]) -> bool:
        """Let every trial go on."""
        del number, points
        return False


def check_names(spec: SweepSpec) -> None:
    """Refuse a sampler or pruner that there is none of, and what does not go together.

    Raises:
        UsageError: says what there is.
    """
    known: Mapping[str, tuple[str | None, Sequence[str]]] = {
        "--sampler": (spec.sampler, SAMPLERS),
        "--pruner": (spec.pruner, PRUNERS),
    }
    for flag, (name, names) in known.items():
        if name is not None and name not in names:
            raise UsageError(f"{flag} {name}: there are {', '.join(names)}")
    if spec.metric is None and (spec.sampler in OPTUNA_SAMPLERS or spec.pruner is not None):
        asking = f"--pruner {spec.pruner}" if spec.pruner else f"--sampler {spec.sampler}"
        raise UsageError(f"{asking} needs to know what is good: add --metric NAME")
    if spec.trials is None and spec.sampler != GRID:
        raise UsageError(f"--sampler {spec.sampler} has no end: add --trials N")
