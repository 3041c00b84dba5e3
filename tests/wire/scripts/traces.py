"""Traces with the genuine client: made, exported in both ways, found, judged, linked, deleted."""

import contextlib
import os
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    AssessmentError,
    AssessmentSource,
    Feedback,
    SpanType,
)
from mlflow.exceptions import MlflowException
from mlflow.tracing.constant import TraceMetadataKey

client = MlflowClient()


@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question: str) -> dict[str, object]:
    with mlflow.start_span("look up", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"query": question})
        span.set_attributes({"top_k": 3, "größe": "große", "scores": [0.5, 0.25]})
        span.set_outputs(["a", "b"])
    return {"answer": model(question), "ok": True}


@mlflow.trace(span_type=SpanType.LLM)
def model(question: str) -> str:
    mlflow.get_current_active_span().set_attribute(
        "mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    )
    return question.upper()


@mlflow.trace
def failing() -> None:
    raise ValueError("no such answer")


def fails(code: str, call: object, *args: object, **kwargs: object) -> str:
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except MlflowException as error:
        assert error.error_code == code, (error.error_code, error.message)
        return str(error.message)
    raise AssertionError(f"no {code}")


def last_trace() -> str:
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    assert trace_id is not None
    return trace_id


def nested_functions_become_one_trace() -> str:
    answer("who?")
    trace_id = last_trace()
    trace = mlflow.get_trace(trace_id)
    assert trace.info.state == "OK", trace.info
    assert trace.info.tags["mlflow.traceName"] == "answer"
    assert trace.info.tags["mlflow.artifactLocation"].endswith(f"/traces/{trace_id}/artifacts")
    assert trace.info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert trace.info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert trace.info.execution_duration is not None
    names = {span.name: span for span in trace.data.spans}
    assert set(names) == {"answer", "look up", "model"}
    assert trace.data.spans[0].name == "answer"
    root, inner = names["answer"], names["look up"]
    assert inner.parent_id == root.span_id
    assert root.parent_id is None
    assert root.inputs == {"question": "who?"}
    assert root.outputs == {"answer": "WHO?", "ok": True}
    assert inner.span_type == "RETRIEVER"
    assert inner.attributes["scores"] == [0.5, 0.25]
    assert inner.attributes["top_k"] == 3
    assert inner.attributes["größe"] == "große"
    assert root.start_time_ns <= inner.start_time_ns <= inner.end_time_ns <= root.end_time_ns
    assert trace.info.request_preview == '{"question": "who?"}'
    return trace_id


def an_error_is_an_error() -> str:
    with contextlib.suppress(ValueError):
        failing()
    trace = mlflow.get_trace(last_trace())
    assert trace.info.state == "ERROR"
    (span,) = trace.data.spans
    assert span.status.status_code == "ERROR"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.message"] == "no such answer"
    return trace.info.trace_id


def traces_are_found(good: str, bad: str) -> None:
    def found(filter_string: str, **more: object) -> list[str]:
        traces = mlflow.search_traces(
            filter_string=filter_string, return_type="list", locations=["0"], **more
        )
        assert all(trace.data.spans for trace in traces)
        return [trace.info.trace_id for trace in traces]

    assert found("") == [bad, good]
    assert found("", order_by=["timestamp ASC"]) == [good, bad]
    assert found("trace.status = 'ERROR'") == [bad]
    assert found("status = 'OK' AND trace.name = 'answer'") == [good]
    assert found("trace.name ILIKE 'ANS%'") == [good]
    assert found("trace.name RLIKE '^ans.*r$'") == [good]
    assert found("span.type = 'RETRIEVER' AND span.name = 'look up'") == [good]
    assert found("span.type = 'RETRIEVER' AND span.name = 'model'") == []
    assert found("span.attributes.größe = 'große'") == [good]
    assert found("trace.text LIKE '%WHO?%'") == [good]
    assert found("trace.execution_time_ms >= 0 AND timestamp_ms > 0") == [bad, good]
    assert found("tags.color = 'red'") == []
    client.set_trace_tag(good, "color", "red")
    assert found("tags.color = 'red'") == [good]
    assert found("tags.color IS NULL") == [bad]
    client.delete_trace_tag(good, "color")
    assert "color" not in client.get_trace(good).info.tags
    fails("RESOURCE_DOES_NOT_EXIST", client.delete_trace_tag, good, "color")
    fails(
        "INVALID_PARAMETER_VALUE",
        client.search_traces,
        locations=["0"],
        filter_string="nonsense.x = 'y'",
    )
    page = client.search_traces(locations=["0"], max_results=1)
    rest = client.search_traces(locations=["0"], max_results=1, page_token=page.token)
    assert [each[0].info.trace_id for each in (page, rest)] == [bad, good]
    assert len(mlflow.search_traces(locations=["0"])) == 2  # as a table


def traces_are_judged(trace_id: str) -> None:
    human = AssessmentSource(source_type="HUMAN", source_id="ada")
    first = mlflow.log_feedback(
        trace_id=trace_id, name="correct", value=False, source=human, rationale="wrong"
    )
    second = mlflow.override_feedback(
        trace_id=trace_id, assessment_id=first.assessment_id, value=True, source=human
    )
    score = mlflow.log_feedback(trace_id=trace_id, name="score", value=0.75, metadata={"a": "b"})
    failed = mlflow.log_feedback(
        trace_id=trace_id, name="judge", error=AssessmentError("TIMEOUT", "too slow")
    )
    expected = mlflow.log_expectation(
        trace_id=trace_id, name="facts", value={"who": ["Ada"]}, source=human
    )
    found = {each.assessment_id: each for each in mlflow.get_trace(trace_id).info.assessments}
    assert set(found) == {each.assessment_id for each in (first, second, score, failed, expected)}
    assert (found[first.assessment_id].value, found[first.assessment_id].valid) == (False, False)
    assert (found[second.assessment_id].value, found[second.assessment_id].valid) == (True, True)
    assert found[second.assessment_id].overrides == first.assessment_id
    assert found[first.assessment_id].rationale == "wrong"
    assert found[score.assessment_id].value == 0.75
    assert found[score.assessment_id].metadata == {"a": "b"}
    assert found[failed.assessment_id].error.error_code == "TIMEOUT"
    assert found[expected.assessment_id].value == {"who": ["Ada"]}
    mlflow.update_assessment(
        trace_id=trace_id,
        assessment_id=score.assessment_id,
        assessment=Feedback(name="score", value=0.5, rationale="so so", metadata={"c": "d"}),
    )
    changed = mlflow.get_assessment(trace_id=trace_id, assessment_id=score.assessment_id)
    assert (changed.value, changed.rationale) == (0.5, "so so")
    assert changed.metadata == {"a": "b", "c": "d"}
    for text in (
        "feedback.correct = 'true'",
        "feedback.score < 0.6",
        "expectation.facts IS NOT NULL",
    ):
        ids = [
            each.info.trace_id for each in client.search_traces(locations=["0"], filter_string=text)
        ]
        assert ids == [trace_id], text
    assert not client.search_traces(locations=["0"], filter_string="feedback.correct = 'false'")
    mlflow.delete_assessment(trace_id=trace_id, assessment_id=second.assessment_id)
    assert mlflow.get_assessment(trace_id=trace_id, assessment_id=first.assessment_id).valid
    fails(
        "RESOURCE_DOES_NOT_EXIST",
        mlflow.get_assessment,
        trace_id=trace_id,
        assessment_id=second.assessment_id,
    )


def traces_belong_to_runs(earlier: str) -> None:
    with mlflow.start_run() as run:
        answer("in a run?")
    inside = last_trace()
    run_id = run.info.run_id
    assert mlflow.get_trace(inside).info.trace_metadata[TraceMetadataKey.SOURCE_RUN] == run_id
    ids = {each.info.trace_id for each in client.search_traces(locations=["0"], run_id=run_id)}
    assert ids == {inside}
    client.link_traces_to_run([earlier], run_id)
    ids = {each.info.trace_id for each in client.search_traces(locations=["0"], run_id=run_id)}
    assert ids == {inside, earlier}
    fails("RESOURCE_DOES_NOT_EXIST", client.link_traces_to_run, [earlier], "0" * 32)


def traces_know_their_prompts() -> None:
    mlflow.genai.register_prompt("greet", "Hello {{name}}")

    @mlflow.trace
    def greet() -> str:
        return mlflow.genai.load_prompt("prompts:/greet/1").format(name="Ada")

    greet()
    trace_id = last_trace()
    deadline = time.monotonic() + 20
    while True:  # the link is made after the trace, by a thread of its own
        ids = [
            each.info.trace_id
            for each in client.search_traces(locations=["0"], filter_string="prompt = 'greet/1'")
        ]
        if ids or time.monotonic() > deadline:
            break
    assert ids == [trace_id]


def distributed_and_manual_spans() -> None:
    root = mlflow.start_span_no_context("root", inputs={"a": 1}, tags={"kind": "manual"})
    child = mlflow.start_span_no_context("child", parent_span=root)
    child.end(outputs=2)
    root.end(outputs=3)
    trace = mlflow.get_trace(root.trace_id) if not_async() else mlflow.get_trace(last_trace())
    assert [span.name for span in trace.data.spans] == ["root", "child"]
    assert trace.info.tags["kind"] == "manual"


def not_async() -> bool:
    return os.environ.get("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING") == "false"


def traces_are_deleted(trace_ids: list[str]) -> None:
    before = len(client.search_traces(locations=["0"]))
    assert client.delete_traces("0", trace_ids=trace_ids) == len(trace_ids)
    assert len(client.search_traces(locations=["0"])) == before - len(trace_ids)
    fails("RESOURCE_DOES_NOT_EXIST", client.set_trace_tag, trace_ids[0], "a", "b")
    assert (
        client.delete_traces("0", max_timestamp_millis=int(time.time() * 1000), max_traces=1) == 1
    )
    client.delete_traces("0", max_timestamp_millis=int(time.time() * 1000) + 1000)
    assert client.search_traces(locations=["0"]) == []
    fails("INVALID_PARAMETER_VALUE", client.delete_traces, "0")


good = nested_functions_become_one_trace()
bad = an_error_is_an_error()
traces_are_found(good, bad)
traces_are_judged(good)
traces_belong_to_runs(bad)
traces_know_their_prompts()
distributed_and_manual_spans()
traces_are_deleted([good, bad])
print("all good")
