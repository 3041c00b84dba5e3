"""`flowrun sweep`."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flowrun.cli.observing import GC_THRESHOLD, exit_with, observer_of, progress_of
from flowrun.cli.options import IsOffline, TrackingUri, settings_of
from flowrun.cli.run_options import (
    EntryPoint,
    ExperimentId,
    ExperimentName,
    IsLocked,
    NoCache,
    OutcomeAsJson,
    ParamList,
    ParamsFile,
    Version,
    parse_params,
)
from flowrun.cli.summary import print_end
from flowrun.cli.tables import print_rows
from flowrun.engine.sweeps.samplers import PRUNERS, SAMPLERS, Trial
from flowrun.engine.sweeps.sweep_file import trial_json
from flowrun.errors import UsageError
from flowrun.settings import Settings
from flowrun.sweeping import SweepAsked, SweepOutcome, resume_sweep, sweep

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MAX_ROWS = 40


class Mode(StrEnum):
    """Whether a good metric is small or large."""

    MIN = "min"
    MAX = "max"


@app.command("sweep")
def sweep_command(
    ctx: typer.Context,
    uri: Annotated[
        str | None, typer.Argument(metavar="[URI]", help="Git URL, directory or zip; default: .")
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            "-S",
            metavar="NAME=SPACE",
            help="What to try: 0.1,0.2 or 1..10 or 0..100:10 or 1e-4..1e-1:log.",
        ),
    ] = None,
    space_file: Annotated[
        Path | None,
        typer.Option("--space", metavar="FILE", help="The same as YAML or JSON; -S goes before."),
    ] = None,
    entry_point: EntryPoint = "main",
    version: Version = None,
    param_list: ParamList = None,
    params_file: ParamsFile = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric that tells which trial is best.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Whether a good metric is small or large.")] = Mode.MIN,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many at most; default: all of a grid.")
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", "-j", min=1, help="At the same time; default: processors."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(SAMPLERS)}; default: grid if it is one, else random."),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help=f"Ends trials that do badly by their metric: {', '.join(PRUNERS)}."),
    ] = None,
    seed: Annotated[int, typer.Option(help="For the sampler.")] = 0,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a sweep that did not end.")
    ] = None,
    experiment_name: ExperimentName = None,
    experiment_id: ExperimentId = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the sweep's run.")] = None,
    env_manager: Annotated[str | None, typer.Option(help="As for run: what trials run in.")] = None,
    tracking_uri: TrackingUri = None,
    locked: IsLocked = False,
    offline: IsOffline = False,
    no_cache: NoCache = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what the trials print.")
    ] = False,
    as_json: OutcomeAsJson = False,
) -> None:
    """Run an entry point with many values of its parameters, and tell the best."""
    gc.set_threshold(*GC_THRESHOLD)
    settings = settings_of(ctx, tracking_uri, offline=offline)
    progress = progress_of(is_silent=as_json)
    with observer_of(settings, shows_output=not quiet, is_silent=as_json) as observer:
        if resume is not None:
            _check_resume(uri, space, space_file, metric)
            outcome = resume_sweep(
                resume,
                trials=trials,
                parallel=parallel,
                observer=observer,
                settings=settings,
                progress=progress,
            )
        else:
            asked = SweepAsked(
                parse_params(space or [], "-S"),
                space_file,
                trials,
                parallel,
                metric,
                mode is Mode.MAX,
                sampler,
                pruner,
                seed,
            )
            outcome = sweep(
                uri or ".",
                asked,
                entry_point,
                version=version,
                params=parse_params(param_list or []),
                params_file=params_file,
                experiment_name=experiment_name,
                experiment_id=experiment_id,
                env_manager=env_manager,
                run_name=run_name,
                locked=locked,
                cache=not no_cache,
                observer=observer,
                settings=settings,
                progress=progress,
            )
    with suppress(BrokenPipeError):
        _print(outcome, settings, as_json=as_json)
    raise exit_with(outcome.run)


def _check_resume(
    uri: str | None, space: list[str] | None, space_file: Path | None, metric: str | None
) -> None:
    if uri or space or space_file or metric:
        raise UsageError(
            "--resume goes on with a sweep as it began: its project, its space and its metric",
            "Only --trials and --parallel may be others.",
        )


def _print(outcome: SweepOutcome, settings: Settings, *, as_json: bool) -> None:
    run, best = outcome.run, outcome.best
    if as_json:
        told = {
            "run_id": run.run_id,
            "status": run.status.value,
            "duration_ms": run.duration_ms,
            "metric": outcome.spec.metric,
            "mode": "max" if outcome.spec.is_max else "min",
            "best": trial_json(best) if best else None,
            "trials": [trial_json(trial) for trial in outcome.trials],
        }
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo("")
    shown = _first(outcome)
    print_rows(
        ("trial", "status", "value", "result"), [_row(each) for each in shown], as_json=False
    )
    if len(outcome.trials) > len(shown):
        typer.echo(f"and {len(outcome.trials) - len(shown)} more")
    typer.echo("")
    if best is not None:
        values = " ".join(f"-P {name}={text}" for name, text in best.values.items())
        typer.echo(f"best {best.step_id} with {outcome.spec.metric} {best.value:g}: {values}")
    print_end(run, settings, resume="flowrun sweep --resume")


def _first(outcome: SweepOutcome) -> list[Trial]:
    """Give the trials to be shown: the best first, if one is."""
    if outcome.spec.metric is None:
        return list(outcome.trials[:MAX_ROWS])
    sign = -1 if outcome.spec.is_max else 1
    scored = sorted(
        outcome.trials,
        key=lambda t: (t.value is None, sign * t.value if t.value is not None else 0),
    )
    return scored[:MAX_ROWS]


def _row(trial: Trial) -> dict[str, object]:
    return {
        "trial": trial.step_id,
        "status": trial.state.value,
        "value": "" if trial.value is None else f"{trial.value:.6g}",
        "result": trial.detail,
    }
