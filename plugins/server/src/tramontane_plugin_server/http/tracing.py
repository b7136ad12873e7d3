"""A span for every generation, where OpenTelemetry is installed; FastAPI makes those of HTTP."""

from __future__ import annotations

import contextlib
from typing import Any


class GenerationSpan:
    """A span of the answers to prompts, below the request's, by the semantic conventions for
    generative AI."""

    def __init__(self, model: str, answers: int) -> None:
        self._span: Any = None
        with contextlib.suppress(ImportError):
            from opentelemetry import trace

            given: dict[str, str | int] = {
                "gen_ai.operation.name": "generate_content",
                "gen_ai.provider.name": "tramontane",
                "gen_ai.request.model": model,
                "gen_ai.request.choice.count": answers,
            }
            tracer = trace.get_tracer("tramontane")
            self._span = tracer.start_span(f"generate_content {model}", attributes=given)

    def end(self, prompt: int, answer: int) -> None:
        """Note how many tokens it was."""
        if self._span is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", prompt)
            self._span.set_attribute("gen_ai.usage.output_tokens", answer)
            self._span.end()
