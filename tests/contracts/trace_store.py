"""The promises of `TraceStore`: every store subclasses these, with two fixtures.

`store` is empty; `tracking` is the store of runs beside it, with the experiment `Default` alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from flowrun.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_entities import (
    Assessment,
    AssessmentError,
    AssessmentKind,
    FilterCounts,
    JsonValue,
    PromptVersion,
    Span,
    SpanBatch,
    SpanEvent,
    SpanLink,
    SpanStatus,
    TraceInfo,
    TraceState,
)
from flowrun.tracking.trace_store import TraceStore

MS = 1_000_000


def trace_id(number: int) -> str:
    return f"tr-{number:032x}"


def info(number: int, **changes: object) -> TraceInfo:
    known = TraceInfo(trace_id(number), "0", 1_000 * number, TraceState.OK, duration_ms=10)
    return replace(known, **changes)  # type: ignore[arg-type]  # as replace has it


def span(number: int, span_number: int = 1, parent: int | None = None, **changes: object) -> Span:
    known = Span(
        trace_id(number),
        f"{span_number:016x}",
        f"span {span_number}",
        start_time_ns=(1_000 * number + span_number) * MS,
        parent_id=None if parent is None else f"{parent:016x}",
        end_time_ns=(1_000 * number + 100 - span_number) * MS,
        status=SpanStatus.OK,
    )
    return replace(known, **changes)  # type: ignore[arg-type]  # as replace has it


def log(store: TraceStore, *spans: Span, resource: Mapping[str, JsonValue] | None = None) -> None:
    store.log_spans("0", [SpanBatch(spans, resource or {})])


def found(store: TraceStore, filter_text: str, *order_by: str) -> list[int]:
    page = store.search_traces(["0"], filter_text=filter_text, order_by=order_by)
    return [int(each.trace_id.removeprefix("tr-"), 16) for each in page.items]


def feedback(number: int, name: str, value: JsonValue, **changes: object) -> Assessment:
    known = Assessment(trace_id(number), name, AssessmentKind.FEEDBACK, value, "HUMAN", "ada", 5, 5)
    return replace(known, **changes)  # type: ignore[arg-type]  # as replace has it


class TraceInfoContract:
    """The promises of `TraceInfoStore`."""

    def test_a_recorded_trace_is_given_back_with_its_place_for_files(
        self, store: TraceStore
    ) -> None:
        made = info(
            1,
            client_request_id="c",
            request_preview="q",
            response_preview="a",
            metadata={"m": "1"},
            tags={"t": "ü"},
        )
        recorded = store.record_trace(made)
        location = f"mlflow-artifacts:/0/traces/{trace_id(1)}/artifacts"
        assert recorded == replace(made, tags={"t": "ü", "mlflow.artifactLocation": location})
        assert store.get_trace_info(trace_id(1)) == recorded

    def test_recording_again_adds_and_overwrites(self, store: TraceStore) -> None:
        store.record_trace(info(1, metadata={"a": "1", "b": "1"}, tags={"t": "1"}))
        store.record_trace(info(1, metadata={"b": "2"}, tags={"u": "2"}, state=TraceState.ERROR))
        read = store.get_trace_info(trace_id(1))
        assert (read.state, read.metadata) == (TraceState.ERROR, {"a": "1", "b": "2"})
        assert (read.tags["t"], read.tags["u"]) == ("1", "2")

    def test_where_the_spans_are_is_not_the_callers_to_say(self, store: TraceStore) -> None:
        tag = {"mlflow.trace.spansLocation": "TRACKING_STORE"}
        recorded = store.record_trace(info(1, tags=tag))
        ended = store.end_trace(trace_id(1), 1, TraceState.OK, metadata={}, tags=tag)
        for each in (recorded, ended):
            assert "mlflow.trace.spansLocation" not in each.tags
        with pytest.raises(InvalidValueError, match="is immutable and cannot be set"):
            store.set_trace_tag(trace_id(1), "mlflow.trace.spansLocation", "TRACKING_STORE")
        log(store, span(1))
        with pytest.raises(InvalidValueError, match="is immutable and cannot be deleted"):
            store.delete_trace_tag(trace_id(1), "mlflow.trace.spansLocation")

    def test_a_trace_needs_an_active_experiment(
        self, store: TraceStore, tracking: TrackingStore
    ) -> None:
        with pytest.raises(NotFoundError):
            store.record_trace(info(1, experiment_id="77"))
        gone = tracking.create_experiment("gone")
        tracking.delete_experiment(gone)
        with pytest.raises(InvalidValueError, match="must be in the 'active' state"):
            store.record_trace(info(1, experiment_id=gone))

    def test_a_started_trace_is_ended(self, store: TraceStore) -> None:
        started = store.start_trace("0", 100, metadata={"a": "1"}, tags={"t": "1"})
        assert started.state is TraceState.IN_PROGRESS
        ended = store.end_trace(
            started.trace_id, 250, TraceState.OK, metadata={"b": "2"}, tags={"u": "2"}
        )
        assert (ended.state, ended.duration_ms) == (TraceState.OK, 150)
        assert ended.metadata == {"a": "1", "b": "2"}
        assert (ended.tags["t"], ended.tags["u"]) == ("1", "2")

    def test_a_trace_nobody_made_is_not_found(self, store: TraceStore) -> None:
        for call in (
            lambda: store.get_trace_info("tr-x"),
            lambda: store.set_trace_tag("tr-x", "a", "b"),
            lambda: store.end_trace("tr-x", 1, TraceState.OK, metadata={}, tags={}),
            lambda: store.link_prompts("tr-x", [PromptVersion("p", "1")]),
        ):
            with pytest.raises(NotFoundError, match="Trace with ID 'tr-x' not found"):
                call()
        assert store.get_trace_infos(["tr-x"]) == []

    def test_infos_come_in_the_order_asked_for(self, store: TraceStore) -> None:
        for number in (1, 2, 3):
            store.record_trace(info(number))
        asked = [trace_id(number) for number in (3, 1, 9, 3)]
        assert [each.trace_id for each in store.get_trace_infos(asked)] == [
            trace_id(3),
            trace_id(1),
        ]
        assert store.get_trace_infos(asked, experiment_ids=["5"]) == []

    def test_tags_are_set_and_removed(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        store.set_trace_tag(trace_id(1), "k", "x" * 9000)
        assert store.get_trace_info(trace_id(1)).tags["k"] == "x" * 8000
        store.delete_trace_tag(trace_id(1), "k")
        with pytest.raises(NotFoundError, match="No trace tag with key 'k'"):
            store.delete_trace_tag(trace_id(1), "k")
        with pytest.raises(InvalidValueError):
            store.set_trace_tag(trace_id(1), "k" * 251, "v")

    def test_pages_follow_each_other_newest_first(self, store: TraceStore) -> None:
        for number in range(1, 6):
            store.record_trace(info(number))
        first = store.search_traces(["0"], max_results=2)
        second = store.search_traces(["0"], max_results=3, page_token=first.next_page_token)
        ids = [each.trace_id for each in (*first.items, *second.items)]
        assert ids == [trace_id(number) for number in (5, 4, 3, 2, 1)]
        assert second.next_page_token is None
        assert store.search_traces([]).items == ()
        with pytest.raises(InvalidValueError, match="at most 500"):
            store.search_traces(["0"], max_results=501)

    def test_traces_are_deleted_by_id_or_by_age(self, store: TraceStore) -> None:
        for number in range(1, 7):
            log(store, span(number))
            store.create_assessment(feedback(number, "f", 1))
            store.set_trace_tag(trace_id(number), "t", "v")
        assert store.delete_traces("0", trace_ids=[trace_id(6), "tr-none"]) == 1
        assert store.delete_traces("0", max_time_ms=4_001, max_traces=2) == 2
        assert found(store, "") == [5, 4, 3]
        assert store.delete_traces("0", max_time_ms=4_001) == 2
        assert store.delete_traces("7", max_time_ms=9_000) == 0
        assert found(store, "") == [5]
        assert found(store, "feedback.f IS NOT NULL AND span.name = 'span 1'") == [5]

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"trace_ids": ["a"], "max_time_ms": 1},
            {"trace_ids": ["a"], "max_traces": 1},
            {"max_time_ms": 1, "max_traces": 0},
        ],
        ids=["neither", "both", "ids with a number", "none"],
    )
    def test_a_deletion_must_say_what(
        self, store: TraceStore, arguments: dict[str, object]
    ) -> None:
        with pytest.raises(InvalidValueError):
            store.delete_traces("0", **arguments)  # type: ignore[arg-type]  # as the table has it

    def test_traces_are_linked_to_runs_and_prompts(
        self, store: TraceStore, tracking: TrackingStore
    ) -> None:
        run_id = tracking.create_run("0").info.run_id
        store.record_trace(info(1))
        store.record_trace(info(2, metadata={"mlflow.sourceRun": run_id}))
        store.record_trace(info(3))
        assert found(store, f"run_id = '{run_id}'") == [2]
        for _ in range(2):
            store.link_traces([trace_id(1), "tr-none"], run_id)
            store.link_prompts(trace_id(3), [PromptVersion("p", "1"), PromptVersion("p", "2")])
        assert found(store, f"attributes.run_id = '{run_id}'") == [2, 1]
        assert found(store, "prompt = 'p/2'") == [3]
        assert found(store, "prompt = 'p/3'") == []
        with pytest.raises(NotFoundError):
            store.link_traces([trace_id(1)], "0" * 32)
        with pytest.raises(InvalidValueError, match="Cannot link more than 100 traces"):
            store.link_traces(["tr-1"] * 101, run_id)

    def test_two_filters_are_counted_together(self, store: TraceStore) -> None:
        for number in range(1, 11):
            tags = {"a": "1"} if number <= 6 else {}
            tags |= {"b": "1"} if number >= 5 else {}
            store.record_trace(info(number, tags=tags))
        counts = store.count_traces(["0"], "tags.a = '1'", "tags.b = '1'")
        assert counts == FilterCounts(first=6, second=6, both=2, total=10)
        counts = store.count_traces(
            ["0"], "tags.a = '1'", "tags.b = '1'", base="timestamp_ms >= 6000"
        )
        assert counts == FilterCounts(first=1, second=5, both=1, total=5)


FILTERS: dict[str, tuple[str, list[int]]] = {
    "state": ("status = 'ERROR'", [2]),
    "state in a list": ("trace.status IN ('ERROR', 'OK')", [3, 2, 1]),
    "time": ("timestamp_ms >= 2000 AND attributes.timestamp < 3000.5", [3, 2]),
    "duration": ("execution_time_ms > 10", [3]),
    "end": ("end_time >= 2010", [3, 2]),
    "client": ("client_request_id = 'c-1'", [1]),
    "client unlike": ("client_request_id != 'c-1'", []),
    "id": (f"request_id = '{trace_id(2)}'", [2]),
    "name": ("name = 'answer'", [1]),
    "name in a list": ("name IN ('answer', 'other')", [2, 1]),
    "tag": ("tags.color = 'red'", [1]),
    "tag unlike": ("tags.color != 'red'", [2]),
    "tag like": ("tag.color LIKE 'bl%'", [2]),
    "tag like counts capitals": ("tag.color LIKE 'BL%'", []),
    "tag ilike": ("tag.color ILIKE 'BL%'", [2]),
    "tag pattern": ("tags.color RLIKE '^(red|blue)$'", [2, 1]),
    "tag missing": ("tags.color IS NULL", [3]),
    "tag there": ("tags.color IS NOT NULL", [2, 1]),
    "long tag": (f"tags.digest = '{'0' * 64}'", [3]),
    "metadata": ("metadata.user = 'ada' AND request_metadata.`a b` = 'x'", [1]),
    "span name": ("span.name = 'model'", [2, 1]),
    "one span must be all of it": ("span.name = 'model' AND span.status = 'ERROR'", [2]),
    "span type": ("span.type IN ('LLM', 'TOOL')", [2, 1]),
    "span name pattern": ("span.name RLIKE 'mod'", [2, 1]),
    "span attribute": ("span.attributes.city = 'Zürich'", [1]),
    "span attribute unlike": ("span.attributes.city != 'Zürich'", [2]),
    "span attribute number": ("span.attributes.top_k = '3'", [1]),
    "span attribute like": ("span.attributes.city LIKE '%ern%'", [2]),
    "span attribute pattern": ("span.attributes.city RLIKE '^Z.rich$'", [1]),
    "percent is itself": ("span.attributes.city = '%'", []),
    "text": ("trace.text LIKE '%Zürich%'", [1]),
    "feedback": ("feedback.good = 'true'", [1]),
    "feedback as text": ("feedback.word = 'yes'", [2]),
    "feedback unlike": ("feedback.good != 'true'", [2]),
    "feedback number": ("feedback.score >= 0.5", [2]),
    "feedback there": ("feedback.score IS NOT NULL", [2, 1]),
    "feedback missing": ("feedback.score IS NULL", [3]),
    "feedback like": ("feedback.word ILIKE '%YE%'", [2]),
    "expectation": ("expectation.answer = '42'", [3]),
    "issue": ("issue.id = 'iss-1'", [3]),
    "all together": ("status = 'OK' AND tags.color = 'red' AND span.type = 'LLM'", [1]),
}


class TraceFilterContract:
    """What `search_traces` finds."""

    @pytest.fixture
    def filled(self, store: TraceStore) -> TraceStore:
        model: dict[str, JsonValue] = {"mlflow.spanType": "LLM"}
        log(store, span(1, name="answer"))
        log(
            store,
            span(1, 2, 1, name="model", attributes={**model, "city": "Zürich", "top_k": 3}),
            span(2, 1, name="other"),
            span(
                2, 2, 1, name="model", attributes={**model, "city": "Bern"}, status=SpanStatus.ERROR
            ),
        )
        store.record_trace(
            info(
                1,
                client_request_id="c-1",
                tags={"color": "red"},
                metadata={"user": "ada", "a b": "x"},
            )
        )
        store.record_trace(info(2, tags={"color": "blue"}, state=TraceState.ERROR))
        store.record_trace(info(3, tags={"digest": "0" * 64}, duration_ms=11))
        for each in (
            feedback(1, "good", value=True),
            feedback(2, "good", value=False),
            feedback(1, "score", 0.25),
            feedback(2, "score", 0.5),
            feedback(2, "word", "yes"),
            feedback(3, "score", 9.0, is_valid=False),
            feedback(3, "answer", 42, kind=AssessmentKind.EXPECTATION),
            feedback(3, "iss-1", "an issue", kind=AssessmentKind.ISSUE),
        ):
            store.create_assessment(each)
        return store

    @pytest.mark.parametrize(("text", "numbers"), FILTERS.values(), ids=FILTERS)
    def test_a_filter_finds(self, filled: TraceStore, text: str, numbers: list[int]) -> None:
        assert found(filled, text) == numbers

    @pytest.mark.parametrize(
        ("order_by", "numbers"),
        {
            "time": ("timestamp_ms ASC", [1, 2, 3]),
            "duration": ("execution_time DESC", [3, 2, 1]),
            "state": ("status", [2, 3, 1]),
            "id": ("request_id DESC", [3, 2, 1]),
            "tag": ("tags.color DESC", [1, 2, 3]),
            "name": ("name DESC", [2, 1, 3]),
            "metadata": ("metadata.user", [1, 3, 2]),
        }.values(),
    )
    def test_an_ordering_puts_what_lacks_the_value_last(
        self, filled: TraceStore, order_by: str, numbers: list[int]
    ) -> None:
        assert found(filled, "", order_by) == numbers


class SpanContract:
    """The promises of `SpanStore`."""

    def test_spans_come_back_as_they_were_the_root_first(self, store: TraceStore) -> None:
        child = span(
            1,
            2,
            1,
            attributes={"a": [1, {"b": None}], "ü": "x", "f": 0.5, "mlflow.spanType": "TOOL"},
            events=(SpanEvent("e", 7, {"k": "v"}),),
            links=(SpanLink(trace_id(9), "00000000000000ff", {"l": 1}),),
            status=SpanStatus.ERROR,
            status_message="bad",
        )
        root = span(1, end_time_ns=None, attributes={})
        log(store, child, root)
        (trace,) = store.get_traces([trace_id(1)])
        said = {"mlflow.traceRequestId": trace_id(1)}
        assert trace.spans == (
            replace(root, attributes=said),
            replace(child, attributes={**child.attributes, **said}),
        )

    def test_spans_alone_make_a_trace(self, store: TraceStore) -> None:
        attributes: dict[str, JsonValue] = {
            "mlflow.spanInputs": {"messages": [{"role": "user", "content": "who?"}]},
            "mlflow.spanOutputs": "Ada",
            "session.id": "s",
            "mlflow.traceTag.team": "wine",
        }
        log(
            store,
            span(1, 2, 1, end_time_ns=2_000 * MS),
            span(1, name="root", attributes=attributes),
            resource={"service.name": "svc", "telemetry.sdk.name": "x", "host": 3, "a//b": 1},
        )
        read = store.get_trace_info(trace_id(1))
        assert (read.state, read.request_time_ms, read.duration_ms) == (TraceState.OK, 1001, 999)
        assert (read.request_preview, read.response_preview) == ("who?", '"Ada"')
        assert read.metadata == {"mlflow.trace.session": "s"}
        assert read.tags == {
            "mlflow.artifactLocation": f"mlflow-artifacts:/0/traces/{trace_id(1)}/artifacts",
            "mlflow.trace.spansLocation": "TRACKING_STORE",
            "mlflow.traceName": "root",
            "team": "wine",
            "service.name": "svc",
            "host": "3",
        }

    def test_a_trace_is_in_progress_until_its_root_comes(self, store: TraceStore) -> None:
        log(store, span(1, 2, 1))
        assert store.get_trace_info(trace_id(1)).state is TraceState.IN_PROGRESS
        log(store, span(1, status=SpanStatus.ERROR))
        read = store.get_trace_info(trace_id(1))
        assert (read.state, read.request_time_ms, read.duration_ms) == (TraceState.ERROR, 1001, 98)

    @pytest.mark.parametrize("spans_first", [True, False])
    def test_what_the_maker_says_counts_in_either_order(
        self, store: TraceStore, spans_first: bool
    ) -> None:
        usage = '{"input_tokens": 1}'
        said = info(1, metadata={"mlflow.trace.tokenUsage": usage}, tags={"mlflow.traceName": "n"})
        spans = [span(1, attributes={"mlflow.chat.tokenUsage": {"input_tokens": 5}})]
        for step in ("spans", "info") if spans_first else ("info", "spans"):
            log(store, *spans) if step == "spans" else store.record_trace(said)
        read = store.get_trace_info(trace_id(1))
        assert (read.request_time_ms, read.duration_ms) == (1000, 10)
        assert read.metadata["mlflow.trace.tokenUsage"] == usage
        assert read.tags["mlflow.traceName"] == "n"
        assert read.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
        assert len(store.get_traces([trace_id(1)])[0].spans) == 1

    def test_tokens_are_added_up_once_whatever_the_batches(self, store: TraceStore) -> None:
        def usage(count: int) -> dict[str, JsonValue]:
            return {"mlflow.chat.tokenUsage": {"input_tokens": count, "total_tokens": count}}

        log(store, span(1, 3, 2, attributes=usage(5)), span(1, 4, 1, attributes=usage(7)))
        # the sum of what is below it, said by its parent, which comes later
        log(store, span(1, 2, 1, attributes=usage(5)))
        log(store, span(1), span(1, 4, 1, attributes=usage(7)))
        metadata = store.get_trace_info(trace_id(1)).metadata
        assert json.loads(metadata["mlflow.trace.tokenUsage"]) == {
            "input_tokens": 12,
            "total_tokens": 12,
        }

    def test_a_span_sent_again_takes_the_place_of_the_first(self, store: TraceStore) -> None:
        log(store, span(1, name="a"), span(1, name="b"))
        log(store, span(1, name="c"))
        (trace,) = store.get_traces([trace_id(1)])
        assert [each.name for each in trace.spans] == ["c"]
        assert found(store, "span.name = 'a'") == []

    def test_a_trace_is_partial_until_all_its_spans_are_there(self, store: TraceStore) -> None:
        stats = {"mlflow.trace.sizeStats": '{"num_spans": 2}'}
        store.record_trace(info(1, metadata=stats))
        assert store.get_traces([trace_id(1)], allow_partial=True) == []
        log(store, span(1))
        assert store.get_traces([trace_id(1)]) == []
        assert len(store.get_traces([trace_id(1)], allow_partial=True)) == 1
        log(store, span(1, 2, 1))
        assert len(store.get_traces([trace_id(1)])) == 1

    def test_a_run_that_is_gone_does_not_cost_the_spans(
        self, store: TraceStore, tracking: TrackingStore
    ) -> None:
        run_id = tracking.create_run("0").info.run_id
        store.log_spans("0", [SpanBatch((span(1), span(2, 2, 1)))], run_id=run_id)
        store.log_spans("0", [SpanBatch((span(3),))], run_id="f" * 32)
        assert found(store, f"run_id = '{run_id}'") == [1]
        assert found(store, "") == [3, 2, 1]

    def test_spans_need_an_experiment(self, store: TraceStore) -> None:
        with pytest.raises(NotFoundError):
            store.log_spans("77", [SpanBatch((span(1),))])
        assert found(store, "") == []

    def test_spans_of_a_circle_are_kept_and_counted(self, store: TraceStore) -> None:
        usage: dict[str, JsonValue] = {"mlflow.chat.tokenUsage": {"input_tokens": 1}}
        log(store, span(1, 1, 2, attributes=usage), span(1, 2, 1))
        assert len(store.get_traces([trace_id(1)])[0].spans) == 2
        metadata = store.get_trace_info(trace_id(1)).metadata
        assert json.loads(metadata["mlflow.trace.tokenUsage"]) == {"input_tokens": 1}


class AssessmentContract:
    """The promises of `AssessmentStore`."""

    def test_an_assessment_is_given_back(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        made = store.create_assessment(
            feedback(
                1,
                "judge",
                [1, "ü", None],
                error=AssessmentError("E", "why", "where"),
                rationale="r",
                metadata={"m": "1"},
                span_id="s",
            )
        )
        assert made.assessment_id.startswith("a-")
        assert store.get_assessment(trace_id(1), made.assessment_id) == made
        assert store.get_trace_info(trace_id(1)).assessments == (made,)

    def test_an_overridden_one_is_valid_again_without_the_other(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        first = store.create_assessment(feedback(1, "f", 1))
        second = store.create_assessment(feedback(1, "f", 2, overrides=first.assessment_id))
        assert not store.get_assessment(trace_id(1), first.assessment_id).is_valid
        for _ in range(2):
            store.delete_assessment(trace_id(1), second.assessment_id)
        assert store.get_assessment(trace_id(1), first.assessment_id).is_valid

    def test_what_is_named_changes_and_the_rest_stays(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        made = store.create_assessment(feedback(1, "f", 1, rationale="r", metadata={"a": "1"}))
        changed = store.update_assessment(
            trace_id(1),
            made.assessment_id,
            feedback=(None, AssessmentError("E")),
            metadata={"b": "2"},
        )
        assert changed == replace(
            made,
            value=None,
            error=AssessmentError("E"),
            metadata={"a": "1", "b": "2"},
            last_update_time_ms=changed.last_update_time_ms,
        )
        assert changed.last_update_time_ms > made.last_update_time_ms
        assert store.get_assessment(trace_id(1), made.assessment_id) == changed

    def test_the_kind_does_not_change(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        made = store.create_assessment(feedback(1, "f", 1))
        with pytest.raises(InvalidValueError, match="Cannot update expectation value"):
            store.update_assessment(trace_id(1), made.assessment_id, expectation=(1,))

    def test_what_is_not_there_is_not_found(self, store: TraceStore) -> None:
        with pytest.raises(NotFoundError, match="Trace with ID"):
            store.create_assessment(feedback(1, "f", 1))
        store.record_trace(info(1))
        store.record_trace(info(2))
        other = store.create_assessment(feedback(2, "f", 1))
        calls: list[Callable[[], object]] = [
            lambda: store.get_assessment(trace_id(1), other.assessment_id),
            lambda: store.update_assessment(trace_id(1), other.assessment_id, name="x"),
            lambda: store.create_assessment(feedback(1, "f", 1, overrides=other.assessment_id)),
        ]
        for call in calls:
            with pytest.raises(NotFoundError, match="not found for trace"):
                call()

    def test_an_id_is_not_given_twice(self, store: TraceStore) -> None:
        store.record_trace(info(1))
        store.create_assessment(feedback(1, "f", 1, assessment_id="a-1"))
        with pytest.raises(AlreadyExistsError):
            store.create_assessment(feedback(1, "f", 2, assessment_id="a-1"))

    def test_assessments_come_with_the_trace(self, store: TraceStore) -> None:
        store.record_trace(info(1, assessments=(feedback(1, "f", 1, assessment_id="a-1"),)))
        store.record_trace(info(1, assessments=(feedback(1, "f", 2, assessment_id="a-1"),)))
        assert [each.value for each in store.get_trace_info(trace_id(1)).assessments] == [2]


class TraceStoreContract(TraceInfoContract, TraceFilterContract, SpanContract, AssessmentContract):
    """All of it."""
