"""How each step of a recorded pipeline is, also while it runs and after it was killed.

The pipeline's own file says most, but is a moment old while the pipeline runs, and stays so if
flowrun is killed. What the steps' runs say goes before it for steps that it does not call over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from flowrun.engine.cache.earlier import STEP_TAG
from flowrun.engine.events import StepStatus
from flowrun.engine.record.live import ERROR_TAG, PARENT_TAG
from flowrun.engine.record.outcome import CACHE_TAG, RUNNING, WAITING, StepRow, read_outcome
from flowrun.proof.reading import attempt_of, planned_ids, planned_steps, read_plan
from flowrun.stores import Stores, all_items
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run, RunStatus
from flowrun.valueclass import valueclass

REUSED = "reused"
NOT_RUN = "not run"
"""The state of a step that waited when its pipeline was killed."""
ENDS = frozenset({"pipeline", "collect"})
RUNS_AT_ONCE = 500
_STATES = {
    RunStatus.RUNNING: RUNNING,
    RunStatus.SCHEDULED: RUNNING,
    RunStatus.FINISHED: StepStatus.SUCCEEDED.value,
    RunStatus.FAILED: StepStatus.FAILED.value,
    RunStatus.KILLED: StepStatus.KILLED.value,
}


@valueclass
class StepState:
    """How one step is, with its own run, or the one that stands for it, if there is one."""

    id: str
    row: StepRow
    run: Run | None = None

    @property
    def word(self) -> str:
        """Its state in a word: `waiting`, `running`, how it ended, `reused` or `not run`."""
        return REUSED if self.row.reused_from else self.row.status


def step_states(stores: Stores, run: Run) -> list[StepState]:
    """Give all steps of a pipeline's run, in the plan's order; none of a run that is no pipeline's.

    Args:
        stores: where the run is.
        run: as it is now, or was a moment ago.
    """
    if STEP_TAG in run.tags:
        return []
    artifacts = stores.open_artifacts(run.info.artifact_uri)
    rows = written_rows(artifacts)
    # A later run of a step takes the place of an earlier one, whatever the clock said.
    children = sorted(_children(stores, run), key=attempt_of)
    own = {each.tags[STEP_TAG]: each for each in children if STEP_TAG in each.tags}
    reused = {row.reused_from for row in rows.values() if row.reused_from}
    standing = {each.info.run_id: each for each in runs_of_ids(stores, reused)}
    states = []
    known = {**rows, **own}
    # A plan that grew was written anew in its own order; the rows came as they were known.
    in_order = [id_ for id_ in planned_ids(read_plan(artifacts)) if id_ in known]
    for id_ in dict.fromkeys([*in_order, *known]):
        row = _state(rows.get(id_), own.get(id_), is_final=run.info.status.is_final)
        found = standing.get(row.reused_from) if row.reused_from else own.get(id_)
        states.append(StepState(id_, row, found))
    return states


def runs_of_ids(stores: Stores, run_ids: Iterable[str]) -> Iterator[Run]:
    """Give those of some runs that are there, of all experiments."""
    wanted = [run_id for run_id in run_ids if run_id.isalnum()]  # anyone may write to a store
    search = stores.tracking.search_experiments
    found = all_items(lambda token: search(page_token=token)) if wanted else []
    ids = [experiment.experiment_id for experiment in found]
    for start in range(0, len(wanted), RUNS_AT_ONCE):
        some = ", ".join(f"'{each}'" for each in wanted[start : start + RUNS_AT_ONCE])
        yield from stores.tracking.search_runs(
            ids, filter_text=f"attributes.run_id IN ({some})", max_results=RUNS_AT_ONCE
        ).items


def _children(stores: Stores, run: Run) -> list[Run]:
    """Give the runs of a pipeline's steps, in the order in which they began."""
    return all_items(
        lambda token: stores.tracking.search_runs(
            [run.info.experiment_id],
            filter_text=f"tags.`{PARENT_TAG}` = '{run.info.run_id}'",
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
    )


def written_rows(artifacts: Artifacts) -> Mapping[str, StepRow]:
    """Give what the pipeline's files say: all steps wait until there is word of them."""
    rows = read_outcome(artifacts)
    if rows is not None:
        return rows
    steps = planned_steps(read_plan(artifacts))
    return {
        str(step["id"]): StepRow(WAITING)
        for step in steps
        if "id" in step and str(step.get("kind")) not in ENDS
    }


def row_word(status: RunStatus) -> str:
    """Give a run's status in the words of `StepRow`."""
    return _STATES[status]


def row_of_run(own: Run, row: StepRow | None = None) -> StepRow:
    """Give how a step is by its own run, and by what was written before."""
    start_ms, end_ms = own.info.start_time_ms, own.info.end_time_ms
    return StepRow(
        row_word(own.info.status),
        own.info.run_id,
        own.tags.get(ERROR_TAG) or (row.detail if row else ""),
        None,
        own.tags.get(CACHE_TAG, ""),
        max(row.attempts if row else 0, attempt_of(own)),
        start_ms,
        None if end_ms is None else end_ms - start_ms,
        row.failed_attempts if row else (),
    )


def _state(row: StepRow | None, own: Run | None, *, is_final: bool) -> StepRow:
    if row is not None and row.is_over:
        return row
    row = row or StepRow(WAITING)
    will_try_again = not is_final and any(
        own is not None and each.run_id == own.info.run_id for each in row.failed_attempts
    )
    if own is not None and not will_try_again:
        return row_of_run(own, row)
    if not is_final:
        return row
    # flowrun was killed before this step had a run.
    return replace(row, status=NOT_RUN, detail="")
