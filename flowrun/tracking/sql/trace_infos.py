"""Traces without their spans, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Page
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql.assessments import put_assessments
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.experiments import find_active_experiment
from flowrun.tracking.sql.part import chunks, in_order, marks
from flowrun.tracking.sql.query import Bound
from flowrun.tracking.sql.runs import find_run
from flowrun.tracking.sql.trace_rows import (
    TRACE_COLUMNS,
    StoredTrace,
    TracePart,
    artifact_location,
    find_trace,
    read_info,
    read_infos,
    set_metadata,
    set_tags,
    stored_traces,
)
from flowrun.tracking.sql.trace_search import filtered, traces_query
from flowrun.tracking.trace_entities import (
    ARTIFACT_LOCATION_TAG,
    SPANS_LOCATION_TAG,
    FilterCounts,
    PromptVersion,
    TraceInfo,
    TraceState,
)

_RECORD = """
    INSERT INTO traces
        (trace_id, experiment_id, timestamp_ms, execution_time_ms, status, client_request_id,
         request_preview, response_preview, is_told)
    VALUES (:trace_id, :experiment_id, :timestamp_ms, :execution_time_ms, :status,
            :client_request_id, :request_preview, :response_preview, 1)
    ON CONFLICT (trace_id) DO UPDATE SET
        experiment_id = excluded.experiment_id,
        timestamp_ms = excluded.timestamp_ms,
        execution_time_ms = excluded.execution_time_ms,
        status = excluded.status,
        client_request_id = excluded.client_request_id,
        request_preview = COALESCE(excluded.request_preview, traces.request_preview),
        response_preview = COALESCE(excluded.response_preview, traces.response_preview),
        is_told = 1
    RETURNING trace_pk
"""
_END = """
    UPDATE traces SET execution_time_ms = :execution_time_ms, status = :status
    WHERE trace_pk = :trace_pk
"""
_DELETE_TAG = "DELETE FROM trace_tags WHERE trace_pk = :pk AND key = :key RETURNING key"
_LINK_RUN = "INSERT INTO trace_runs (trace_pk, run_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_LINK_PROMPT = """
    INSERT INTO trace_prompts (trace_pk, name, version) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_OLDEST = """
    SELECT trace_pk FROM traces
    WHERE experiment_id = :experiment_id AND timestamp_ms <= :max_time_ms
    ORDER BY timestamp_ms, trace_id LIMIT :max_traces
"""


class SqlTraceInfos(TracePart):
    """The infos of `SqlTraceStore`; what each call promises is told in the protocol."""

    def record_trace(self, info: TraceInfo) -> TraceInfo:
        """Make a trace, or complete the one that its spans made before it."""
        checks.check_trace_id(info.trace_id)
        checks.check_length(
            "client_request_id", info.client_request_id or "", limits.MAX_TRACE_KEY_LENGTH
        )
        with self._database.write(info.trace_id) as connection:
            experiment = find_active_experiment(connection, info.experiment_id)
            (trace_pk,) = connection.execute(
                _RECORD,
                {
                    "trace_id": info.trace_id,
                    "experiment_id": experiment.experiment_id,
                    "timestamp_ms": info.request_time_ms,
                    "execution_time_ms": info.duration_ms,
                    "status": info.state,
                    "client_request_id": info.client_request_id,
                    "request_preview": info.request_preview,
                    "response_preview": info.response_preview,
                },
            ).fetchone()
            tags = _of_callers(info.tags)
            tags[ARTIFACT_LOCATION_TAG] = artifact_location(experiment, info.trace_id)
            set_tags(connection, trace_pk, tags)
            set_metadata(connection, trace_pk, info.metadata)
            put_assessments(connection, trace_pk, info.assessments, self._new_id)
            return read_info(connection, info.trace_id)

    def start_trace(
        self,
        experiment_id: str,
        request_time_ms: int,
        *,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> TraceInfo:
        """Make a trace that is IN_PROGRESS, with an id of the store's choice."""
        return self.record_trace(
            TraceInfo(
                trace_id=self._new_id(),
                experiment_id=experiment_id,
                request_time_ms=request_time_ms,
                state=TraceState.IN_PROGRESS,
                metadata=metadata,
                tags=tags,
            )
        )

    def end_trace(
        self,
        trace_id: str,
        end_time_ms: int,
        state: TraceState,
        *,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> TraceInfo:
        """Say how a started trace ended; metadata and tags are added."""
        with self._database.write(trace_id) as connection:
            trace = find_trace(connection, trace_id)
            connection.execute(
                _END,
                {
                    "trace_pk": trace.trace_pk,
                    "execution_time_ms": max(0, end_time_ms - trace.timestamp_ms),
                    "status": state,
                },
            )
            set_tags(connection, trace.trace_pk, _of_callers(tags))
            set_metadata(connection, trace.trace_pk, metadata)
            return read_info(connection, trace_id)

    def get_trace_info(self, trace_id: str) -> TraceInfo:
        """Give a trace's info."""
        with self._database.read() as connection:
            return read_info(connection, trace_id)

    def get_trace_infos(
        self, trace_ids: Sequence[str], *, experiment_ids: Sequence[str] | None = None
    ) -> list[TraceInfo]:
        """Give those of the traces that are there, in the order asked for, each once."""
        among = experiment_numbers(experiment_ids)
        with self._database.read() as connection:
            return read_infos(connection, stored_traces(connection, trace_ids, among))

    def search_traces(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[TraceInfo]:
        """Find traces by MLflow's filter language; default order: newest first, then trace id."""
        checks.check_max_results(max_results, limits.MAX_TRACE_RESULTS)
        offset = offset_of(page_token)
        numbers = experiment_numbers(experiment_ids) or []
        query = traces_query(numbers, filter_text, order_by)
        with self._database.read() as connection:
            pks = query.keys(connection, max_results + 1, offset)
            found = read_infos(connection, _rows_of(connection, pks))
        return page_of(found, offset, max_results)

    def count_traces(
        self, experiment_ids: Sequence[str], first: str, second: str, *, base: str = ""
    ) -> FilterCounts:
        """Count what two filters find among the traces that `base` finds."""
        numbers = experiment_numbers(experiment_ids) or []
        queries = [
            filtered(numbers, base, *filters).count()
            for filters in ((first,), (second,), (first, second), ())
        ]
        with self._database.read() as connection:
            counts = [
                int(connection.execute(query.text, query.values).fetchone()[0]) for query in queries
            ]
        return FilterCounts(*counts)

    def delete_traces(
        self,
        experiment_id: str,
        *,
        trace_ids: Sequence[str] = (),
        max_time_ms: int | None = None,
        max_traces: int | None = None,
    ) -> int:
        """Delete traces for good, by their ids or by age; give how many there were."""
        number = checks.parse_experiment_id(experiment_id)
        checks.check_delete_traces(trace_ids, max_time_ms, max_traces)
        with self._database.write() as connection:
            if trace_ids:
                pks = [row.trace_pk for row in stored_traces(connection, trace_ids, [number])]
            else:
                values = {
                    "experiment_id": number,
                    "max_time_ms": max_time_ms,
                    "max_traces": limits.MAX_INTEGER if max_traces is None else max_traces,
                }
                pks = [pk for (pk,) in connection.execute(_OLDEST, values).fetchall()]
            for part in chunks(pks):
                connection.execute(f"DELETE FROM traces WHERE trace_pk IN ({marks(part)})", part)
        return len(pks)

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Set or replace a tag."""
        value = checks.check_trace_tag(key, value)
        _check_is_of_callers(key, "set")
        with self._database.write(trace_id) as connection:
            set_tags(connection, find_trace(connection, trace_id).trace_pk, {key: value})

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Remove a tag; NotFoundError if the trace has none of this key."""
        _check_is_of_callers(key, "deleted")
        with self._database.write(trace_id) as connection:
            where = {"pk": find_trace(connection, trace_id).trace_pk, "key": key}
            if connection.execute(_DELETE_TAG, where).fetchone() is None:
                raise NotFoundError(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")

    def link_traces(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Say that traces belong to a run; those that are not there are passed over."""
        if len(trace_ids) > limits.MAX_TRACE_LINKS:
            raise InvalidValueError(
                f"Cannot link more than {limits.MAX_TRACE_LINKS} traces to a run in "
                f"a single request. Provided {len(trace_ids)} traces."
            )
        with self._database.write() as connection:
            find_run(connection, run_id)
            link_to_run(connection, stored_traces(connection, trace_ids, None), run_id)

    def link_prompts(self, trace_id: str, prompts: Sequence[PromptVersion]) -> None:
        """Say that a trace used versions of prompts."""
        for prompt in prompts:
            checks.check_length("name", prompt.name, limits.MAX_TRACE_KEY_LENGTH)
            checks.check_length("version", prompt.version, limits.MAX_TRACE_KEY_LENGTH)
        with self._database.write(trace_id) as connection:
            trace_pk = find_trace(connection, trace_id).trace_pk
            rows = [(trace_pk, prompt.name, prompt.version) for prompt in prompts]
            connection.executemany(_LINK_PROMPT, rows)


def _of_callers(tags: Mapping[str, str]) -> dict[str, str]:
    """Leave out where the spans are: that is for the store to say, which knows what it has."""
    return {key: value for key, value in tags.items() if key != SPANS_LOCATION_TAG}


def _check_is_of_callers(key: str, what: str) -> None:
    if key == SPANS_LOCATION_TAG:
        raise InvalidValueError(f"Tag '{key}' is immutable and cannot be {what} on a trace.")


def experiment_numbers(experiment_ids: Sequence[str] | None) -> list[int] | None:
    """Give experiments' ids as the numbers they are."""
    if experiment_ids is None:
        return None
    return [checks.parse_experiment_id(each) for each in experiment_ids]


def link_to_run(connection: Connection, traces: Sequence[StoredTrace], run_id: str) -> None:
    """Say that traces belong to a run."""
    connection.executemany(_LINK_RUN, [(trace.trace_pk, run_id) for trace in traces])


def _rows_of(connection: Connection, trace_pks: Sequence[Bound]) -> list[StoredTrace]:
    return [
        StoredTrace._make(row)
        for part in chunks(trace_pks)
        for row in in_order(
            part,
            connection.execute(
                f"SELECT {TRACE_COLUMNS} FROM traces WHERE trace_pk IN ({marks(part)})", part
            ).fetchall(),
        )
    ]
