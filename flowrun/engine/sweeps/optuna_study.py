"""Optuna's samplers and pruners. Imported by those who ask for one: `flowrun[optuna]`.

The study is in memory: what is known of trials is in the sweep's own record, and is told to a new
study when the sweep is gone on with.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState as OptunaState

from flowrun.engine.sweeps.samplers import (
    OPTUNA_SAMPLERS,
    SweepSpec,
    Trial,
    TrialState,
    proposals,
)
from flowrun.errors import UnsupportedError
from flowrun.plan.sweep import Values
from flowrun.spec.parse_space import Choice, Dimension, text_of_number

_SAMPLERS = {
    "tpe": "TPESampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "nsgaii": "NSGAIISampler",
    "qmc": "QMCSampler",
}
_PRUNERS: Mapping[str, Callable[[], BasePruner]] = {
    "median": optuna.pruners.MedianPruner,
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
}
_STATES = {
    TrialState.FINISHED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.KILLED: OptunaState.FAIL,
}


class OptunaStudy:
    """One study of Optuna's, asked and told."""

    def __init__(self, spec: SweepSpec) -> None:
        """Make it.

        Raises:
            UnsupportedError: the sampler needs a package that is not installed.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spec = spec
        self._distributions = {name: _distribution(each) for name, each in spec.space.items()}
        self._propose: Callable[[int], Values | None] | None = None
        if spec.sampler not in OPTUNA_SAMPLERS:
            self._propose = proposals(spec)
        self._study = optuna.create_study(
            direction="maximize" if spec.is_max else "minimize",
            sampler=_sampler(spec),
            pruner=_PRUNERS[spec.pruner]() if spec.pruner else optuna.pruners.NopPruner(),
        )
        self._running: dict[int, optuna.Trial] = {}
        self._seen: dict[int, int] = {}
        """By number: up to which step the study has been told."""

    def ask(self, number: int) -> Values | None:
        """Give the values of a trial; None: there are no more."""
        if self._propose is not None:
            values = self._propose(number)
            if values is None:
                return None
            self._study.enqueue_trial(self._internal(values))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it still experiments with
            trial = self._study.ask(self._distributions)
        self._running[number] = trial
        return {name: self._text(name, trial.params[name]) for name in self._distributions}

    def tell(self, trial: Trial) -> None:
        """Take note of a trial that is over."""
        state, value = _STATES[trial.state], trial.value
        if value is None or math.isnan(value):
            value, state = None, OptunaState.FAIL
        running = self._running.pop(trial.number, None)
        if running is not None:
            is_told = state is OptunaState.COMPLETE
            self._study.tell(running, value if is_told else None, state)
        elif state is OptunaState.COMPLETE:
            made = optuna.trial.create_trial(
                params=self._internal(trial.values),
                distributions=self._distributions,
                value=value,
            )
            self._study.add_trial(made)

    def is_worse(self, number: int, points: Sequence[tuple[int, float]]) -> bool:
        """Tell whether a trial that is under way may end."""
        trial = self._running.get(number)
        if trial is None:
            return False
        for step, value in points:
            if step > self._seen.get(number, -1):
                self._seen[number] = step
                trial.report(value, step)
        return bool(points) and trial.should_prune()

    def _text(self, name: str, value: object) -> str:
        match self._spec.space[name]:
            case Choice():
                return str(value)
            case dimension:
                assert isinstance(value, int | float)  # noqa: S101 - of a distribution of numbers
                return text_of_number(value, is_int=dimension.is_int)

    def _internal(self, values: Values) -> dict[str, str | int | float]:
        made: dict[str, str | int | float] = {}
        for name, text in values.items():
            match self._spec.space[name]:
                case Choice():
                    made[name] = text
                case dimension:
                    made[name] = int(text) if dimension.is_int else float(text)
        return made


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(list(dimension.texts))
    if dimension.is_int:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return IntDistribution(low, high, log=dimension.is_log, step=step)
    return FloatDistribution(
        dimension.low, dimension.high, log=dimension.is_log, step=dimension.step
    )


def _sampler(spec: SweepSpec) -> BaseSampler:
    name = _SAMPLERS.get(spec.sampler, "RandomSampler")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: BaseSampler = getattr(optuna.samplers, name)(seed=spec.seed)
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"--sampler {spec.sampler} needs {error.name}", f"pip install {error.name}"
        ) from error
    return made
