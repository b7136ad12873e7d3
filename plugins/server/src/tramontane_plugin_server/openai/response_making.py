"""A response from its request to its end, and what is shown of it at any moment."""

from __future__ import annotations

import uuid
from typing import Any

from tramontane.engine.request import Event, Finished, RequestResult
from tramontane.errors import EngineBusy

from tramontane_plugin_server.http.errors import api_error

from . import answer
from .response_request import ResponseRequest

Item = dict[str, Any]
ECHOED = (
    "instructions", "max_output_tokens", "previous_response_id", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "temperature", "top_p", "user",
)  # fmt: skip


class Making:
    """One response. items: of the conversation before it, its own input last.

    size: bytes of the conversation, as it was sent.
    status: queued, in_progress, completed, incomplete, failed or cancelled.
    """

    def __init__(
        self, asked: ResponseRequest, model: str, size: int = 0, before: Making | None = None
    ) -> None:
        """size: bytes of the request. before: the response that it goes on from."""
        self.asked = asked.model_copy(update={"input": []})  # it is in items, and once is enough
        self.model, self.size = model, size
        self.items: list[Item] = [item.item() for item in asked.input]
        if before is not None:
            self.size += before.size + len(before.text)
            self.items = [*before.items, *before.output(), *self.items]
        self.id = f"resp_{uuid.uuid4().hex}"
        self.status = "queued" if asked.background else "in_progress"
        self.result: RequestResult | None = None
        self._item_id = f"msg_{uuid.uuid4().hex}"
        self._created = answer.now()
        self._completed: int | None = None
        self._error: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    @property
    def running(self) -> bool:
        return self.status in ("queued", "in_progress")

    @property
    def text(self) -> str:
        """What has been said."""
        return "".join(self._texts)

    def take(self, one: Event) -> None:
        """A piece of the answer, or its end."""
        self.status = "in_progress"
        self._texts.append(one.text)
        if isinstance(one, Finished):
            self.result = one.result
            self._texts = [self.text]
            self.status = "completed" if one.result.finish_reason == "stop" else "incomplete"
            self._completed = answer.now()
        elif one.logprob is not None:
            self._logprobs.append(answer.logprob(one.logprob))

    def fail(self, error: Exception) -> None:
        """The end, without an answer."""
        self.status = "failed"
        code = "rate_limit_exceeded" if isinstance(error, EngineBusy) else "server_error"
        self._error = {"code": code, "message": str(api_error(error))}

    def cancel(self) -> None:
        """The end, because somebody wants it, unless it has ended."""
        if self.running:
            self.status = "cancelled"

    def part(self, *, empty: bool = False) -> dict[str, Any]:
        """The text, so far or before its first word."""
        text, logprobs = ("", []) if empty else (self.text, self._logprobs)
        return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}

    def item(self, *, empty: bool = False) -> Item:
        """The message, so far or before its first word."""
        status = {"completed": "completed", "in_progress": "in_progress"}
        content = [] if empty else [self.part()]
        return {
            "id": self._item_id, "type": "message", "role": "assistant",
            "status": status.get(self.status, "incomplete"), "content": content,
        }  # fmt: skip

    def output(self) -> list[Item]:
        """What has been answered; nothing while it goes on."""
        if self.running or (self.result is None and not self.text):
            return []
        return [self.item()]

    def shown(self) -> dict[str, Any]:
        """The response in OpenAI's form."""
        asked = self.asked
        reasoning = None if asked.reasoning is None else asked.reasoning.effort
        cut = {"reason": "max_output_tokens"} if self.status == "incomplete" else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "completed_at": self._completed if self.status == "completed" else None,
            "status": self.status,
            "background": bool(asked.background),
            "error": self._error,
            "incomplete_details": cut,
            "model": self.model,
            "output": self.output(),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "reasoning": {"effort": reasoning, "summary": None},
            "service_tier": "default",
            "store": asked.stored,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": asked.top_logprobs or 0,
            "truncation": asked.truncation or "disabled",
            "usage": self._usage(),
            **{name: getattr(asked, name) for name in ECHOED},
            "metadata": asked.metadata or {},
        }

    def _usage(self) -> dict[str, Any] | None:
        if self.result is None:
            return None
        counts = self.result.usage
        return {
            "input_tokens": counts.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": counts.cached_tokens, "cache_write_tokens": 0,
            },
            "output_tokens": counts.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": counts.prompt_tokens + counts.completion_tokens,
        }  # fmt: skip
