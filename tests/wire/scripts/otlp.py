"""OpenTelemetry's own SDK and exporter, without MLflow: spans become a trace."""

import os
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

RESULTS: list[SpanExportResult] = []


class Exporter(OTLPSpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        RESULTS.append(super().export(spans))
        return RESULTS[-1]


exporter = Exporter(
    endpoint=os.environ["MLFLOW_TRACKING_URI"] + "/v1/traces",
    headers={
        "x-mlflow-experiment-id": "0",
        "Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}",
    },
    compression=Compression.Gzip,
    timeout=20,
)
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
# Many batches for one trace, so that parents and children come apart.
provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=7))
tracer = provider.get_tracer("test")
with tracer.start_as_current_span("request", attributes={"session.id": "s-1"}) as root:
    root.set_attribute("gen_ai.input.messages", '[{"role": "user", "content": "who?"}]')
    for number in range(50):
        with tracer.start_as_current_span(f"model {number}") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "gpt-x")
            span.set_attribute("gen_ai.usage.input_tokens", 2)
            span.set_attribute("gen_ai.usage.output_tokens", 3)
            if number == 7:
                span.record_exception(ValueError("seven"))
                span.set_status(trace.StatusCode.ERROR, "seven")
provider.shutdown()
assert set(RESULTS) == {SpanExportResult.SUCCESS}, RESULTS

import mlflow  # noqa: E402 - what came before does without it

(found,) = mlflow.search_traces(locations=["0"], return_type="list")
assert found.info.trace_id == f"tr-{root.get_span_context().trace_id:032x}"
assert len(found.data.spans) == 51
assert found.data.spans[0].name == "request"
assert found.info.state == "OK"
assert found.info.request_preview == "who?"
assert found.info.tags["service.name"] == "shop"
assert found.info.trace_metadata["mlflow.trace.session"] == "s-1"
assert found.info.token_usage == {"input_tokens": 100, "output_tokens": 150, "total_tokens": 250}
seven = next(span for span in found.data.spans if span.name == "model 7")
assert seven.span_type == "CHAT_MODEL"
assert seven.get_attribute("mlflow.llm.model") == "gpt-x"
assert seven.status.status_code == "ERROR"
assert seven.events[0].attributes["exception.message"] == "seven"
for text in ("span.status = 'ERROR'", "metadata.mlflow.trace.session = 's-1'"):
    assert len(mlflow.search_traces(locations=["0"], filter_string=text)) == 1, text
print("all good")
