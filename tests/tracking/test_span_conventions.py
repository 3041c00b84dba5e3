"""What libraries say of a span in their own words is there in MLflow's as well."""

from __future__ import annotations

import pytest

from flowrun.tracking.span_conventions import with_mlflow_attributes
from flowrun.tracking.trace_entities import JsonValue, Span

Attributes = dict[str, JsonValue]
TRACE_ID = "tr-" + "1" * 32
TRANSLATED: dict[str, tuple[Attributes, Attributes]] = {
    "genai": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "asked",
            "gen_ai.response.model": "answered",
            "gen_ai.provider.name": "openai",
            "gen_ai.input.messages": '[{"role": "user"}]',
            "gen_ai.output.messages": [{"role": "assistant"}],
            "gen_ai.usage.input_tokens": 3,
            "gen_ai.usage.output_tokens": "4",
            "gen_ai.usage.cache_creation.input_tokens": 1,
        },
        {
            "mlflow.spanType": "CHAT_MODEL",
            "mlflow.llm.model": "answered",
            "mlflow.llm.provider": "openai",
            "mlflow.spanInputs": [{"role": "user"}],
            "mlflow.spanOutputs": [{"role": "assistant"}],
            "mlflow.chat.tokenUsage": {
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_creation_input_tokens": 1,
                "total_tokens": 7,
            },
        },
    ),
    "openinference": (
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "who?",
            "output.value": "{not json",
            "llm.token_count.total": 9,
        },
        {
            "mlflow.spanType": "RETRIEVER",
            "mlflow.spanInputs": "who?",
            "mlflow.spanOutputs": "{not json",
            "mlflow.chat.tokenUsage": {"total_tokens": 9},
        },
    ),
    "traceloop": (
        {"traceloop.span.kind": "workflow", "gen_ai.prompt.0.content": "q", "gen_ai.system": "x"},
        {"mlflow.spanType": "WORKFLOW", "mlflow.spanInputs": "q", "mlflow.llm.provider": "x"},
    ),
    "vercel": (
        {"ai.operationId": "ai.streamText.doStream", "ai.response.text": "a"},
        {"mlflow.spanType": "LLM", "mlflow.spanOutputs": "a"},
    ),
    "adk": ({"gcp.vertex.agent.llm_request": '{"a": 1}'}, {"mlflow.spanInputs": {"a": 1}}),
    "langfuse": ({"langfuse.observation.type": "generation"}, {"mlflow.spanType": "LLM"}),
    "empty says nothing": ({"input.value": "", "openinference.span.kind": "odd"}, {}),
    "nan in a text": ({"input.value": "[NaN]"}, {"mlflow.spanInputs": ["NaN"]}),
    "half a character in a text": (
        {"input.value": '["\\ud800"]'},
        {"mlflow.spanInputs": '["\\ud800"]'},
    ),
}


def translated(attributes: Attributes) -> Attributes:
    span = with_mlflow_attributes(Span(TRACE_ID, "2" * 16, "s", 1, attributes=attributes))
    return dict(span.attributes)


@pytest.mark.parametrize(("said", "added"), TRANSLATED.values(), ids=TRANSLATED)
def test_what_a_library_says_is_there_in_mlflows_words(said: Attributes, added: Attributes) -> None:
    assert translated(said) == {**said, **added, "mlflow.traceRequestId": TRACE_ID}


def test_what_is_said_in_mlflows_words_stays() -> None:
    said: Attributes = {
        "mlflow.spanType": "AGENT",
        "mlflow.spanInputs": None,
        "gen_ai.operation.name": "chat",
        "input.value": "x",
    }
    assert translated(said) == {**said, "mlflow.traceRequestId": TRACE_ID}
    unknown = translated({**said, "mlflow.spanType": "UNKNOWN"})
    assert unknown["mlflow.spanType"] == "CHAT_MODEL"


def test_a_span_does_not_choose_its_trace() -> None:
    assert translated({"mlflow.traceRequestId": "tr-other"})["mlflow.traceRequestId"] == TRACE_ID
