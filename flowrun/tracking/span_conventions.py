"""What others call the things that MLflow has attributes for, and how they are given those.

Libraries say in words of their own what kind of work a span is, what went in and came out, which
model answered and how many tokens it took. MLflow's pages and filters look at MLflow's own
attributes, so these are added when a span comes in; what the library said stays.
Source: OpenTelemetry's GenAI conventions, OpenInference, Traceloop (OpenLLMetry), the Vercel AI
SDK, Google's ADK and Langfuse, by the names listed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from flowrun.tracking.trace_entities import JsonValue, Span
from flowrun.valueclass import valueclass

TYPE = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - tokens are words of a model
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TRACE_ID = "mlflow.traceRequestId"

_UNKNOWN = "UNKNOWN"


@valueclass
class _Convention:
    """The names of one convention, each list with the most telling first."""

    kind: str = ""
    """The attribute that says what kind of work it is."""
    kinds: Mapping[str, str] | None = None
    """Its values and MLflow's for them; None if they differ in case only."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    tokens: Mapping[str, tuple[str, ...]] | None = None
    """The keys of MLflow's usage, and the attributes that say each."""


_CONVENTIONS = (
    _Convention(
        kind="gen_ai.operation.name",
        kinds={
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "invoke_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "text_completion": "LLM",
            "response": "LLM",
        },
        inputs=("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
        outputs=("gen_ai.output.messages", "gen_ai.tool.call.result"),
        model=("gen_ai.response.model", "gen_ai.request.model"),
        provider=("gen_ai.provider.name",),
        tokens={
            "input_tokens": ("gen_ai.usage.input_tokens",),
            "output_tokens": ("gen_ai.usage.output_tokens",),
            "cache_read_input_tokens": ("gen_ai.usage.cache_read.input_tokens",),
            "cache_creation_input_tokens": (
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation.input_tokens",
            ),
        },
    ),
    _Convention(
        kind="openinference.span.kind",
        inputs=("input.value",),
        outputs=("output.value",),
        model=(
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "embedding.model_name",
        ),
        provider=("llm.provider",),
        tokens={
            "input_tokens": ("llm.token_count.prompt",),
            "output_tokens": ("llm.token_count.completion",),
            "total_tokens": ("llm.token_count.total",),
            "cache_read_input_tokens": ("llm.token_count.prompt_details.cache_read",),
            "cache_creation_input_tokens": ("llm.token_count.prompt_details.cache_write",),
        },
    ),
    _Convention(
        kind="traceloop.span.kind",
        inputs=("traceloop.entity.input", "gen_ai.prompt.0.content"),
        outputs=("traceloop.entity.output", "gen_ai.completion.0.content"),
        provider=("gen_ai.system",),
        tokens={
            "input_tokens": ("gen_ai.usage.prompt_tokens",),
            "output_tokens": ("gen_ai.usage.completion_tokens",),
            "total_tokens": ("llm.usage.total_tokens",),
        },
    ),
    _Convention(
        kind="ai.operationId",
        kinds={
            "ai.toolCall": "TOOL",
            **dict.fromkeys(("ai.embed", "ai.embed.doEmbed", "ai.embedMany"), "EMBEDDING"),
            **{
                f"ai.{work}{part}": "LLM"
                for work, inner in (
                    ("generateText", "doGenerate"),
                    ("streamText", "doStream"),
                    ("generateObject", "doGenerate"),
                    ("streamObject", "doStream"),
                )
                for part in ("", f".{inner}")
            },
        },
        inputs=("ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.value", "ai.values"),
        outputs=(
            "ai.response.text",
            "ai.toolCall.result",
            "ai.response.object",
            "ai.embedding",
            "ai.embeddings",
        ),
    ),
    _Convention(
        inputs=("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
        outputs=("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
    ),
    _Convention(
        kind="langfuse.observation.type",
        kinds={
            "generation": "LLM",
            **{
                kind: kind.upper()
                for kind in (
                    *("embedding", "tool", "retriever", "agent"),
                    *("chain", "evaluator", "guardrail"),
                )
            },
        },
        inputs=("langfuse.observation.input",),
        outputs=("langfuse.observation.output",),
    ),
)
_NAMES = {
    INPUTS: [name for convention in _CONVENTIONS for name in convention.inputs],
    OUTPUTS: [name for convention in _CONVENTIONS for name in convention.outputs],
    MODEL: [name for convention in _CONVENTIONS for name in convention.model],
    PROVIDER: [name for convention in _CONVENTIONS for name in convention.provider],
}
_SAME_KINDS = {
    *("AGENT", "CHAIN", "EMBEDDING", "EVALUATOR", "GUARDRAIL", "LLM"),
    *("RERANKER", "RETRIEVER", "TASK", "TOOL", "WORKFLOW"),
}


def with_mlflow_attributes(span: Span) -> Span:
    """Give the span with MLflow's attributes for what it says in other words, and its trace's id.

    What has been said in MLflow's words already stays, but for the trace id, which is not the
    caller's to choose, and a type of UNKNOWN.
    """
    said = span.attributes
    added: dict[str, JsonValue] = {TRACE_ID: span.trace_id}
    if said.get(TYPE) in {None, _UNKNOWN}:
        added[TYPE] = _kind(said) or said.get(TYPE)
    for name, names in _NAMES.items():
        if name not in said:
            added[name] = _first(said, names)
    if TOKEN_USAGE not in said:
        added[TOKEN_USAGE] = _usage(said)
    present = {name: value for name, value in added.items() if value is not None}
    return replace(span, attributes={**said, **present})


def _kind(said: Mapping[str, JsonValue]) -> str | None:
    for convention in _CONVENTIONS:
        value = said.get(convention.kind)
        if not isinstance(value, str):
            continue
        if convention.kinds is not None:
            if value in convention.kinds:
                return convention.kinds[value]
        elif value.upper() in _SAME_KINDS:
            return value.upper()
    return None


def _first(said: Mapping[str, JsonValue], names: Iterable[str]) -> JsonValue:
    """Give the first of the attributes that says anything; JSON in a text is taken out of it."""
    for name in names:
        if name in said and (value := _unpacked(said[name])) not in (None, "", [], {}):
            return value
    return None


def _unpacked(value: JsonValue) -> JsonValue:
    # An escaped half of a surrogate pair would become a character that no store can keep.
    if not isinstance(value, str) or value[:1] not in {"{", "["} or "\\ud" in value.lower():
        return value
    try:
        unpacked: JsonValue = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return value
    return unpacked


def _usage(said: Mapping[str, JsonValue]) -> JsonValue:
    for convention in _CONVENTIONS:
        usage: dict[str, JsonValue] = {}
        for key, names in (convention.tokens or {}).items():
            count = next((n for name in names if (n := _count(said.get(name))) is not None), None)
            if count is not None:
                usage[key] = count
        if not {"input_tokens", "output_tokens", "total_tokens"} & set(usage):
            continue
        taken, made = usage.get("input_tokens"), usage.get("output_tokens")
        if "total_tokens" not in usage and isinstance(taken, int) and isinstance(made, int):
            usage["total_tokens"] = taken + made
        return usage
    return None


def _count(value: JsonValue) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
