"""Spans of requests and of generations, where OpenTelemetry's SDK is set up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.settings import read

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


def test_a_request_and_its_generation_are_spans(spans: InMemorySpanExporter) -> None:
    body = {"messages": "Tell me a story", "max_tokens": 3}
    with TestClient(build(Serving(read(None, {"access_log": "off"})))) as client:
        client.post("/v1/chat/completions", json=body, headers={"traceparent": PARENT})
    found = {span.name: span for span in spans.get_finished_spans()}
    request, generation = found["POST /v1/chat/completions"], found["generate_content default"]
    assert request.attributes["http.response.status_code"] == 200
    assert {f"{s.context.trace_id:032x}" for s in (request, generation)} == {PARENT.split("-")[1]}
    assert generation.attributes["gen_ai.usage.output_tokens"] == 3
    assert generation.attributes["gen_ai.request.model"] == "default"
