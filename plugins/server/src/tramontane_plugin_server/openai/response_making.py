"""A response from its request to its end, and what is shown of it at any moment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from tramontane.answers import AnswerParser, Dialect
from tramontane.engine.request import Event, Finished, RequestResult
from tramontane.errors import EngineBusy

from tramontane_plugin_server.http.errors import api_error

from . import answer
from .response_output import Change, Output
from .response_output_items import Item
from .response_recording import Recording
from .response_request import ResponseRequest
from .tool_fields import LeftOut

ECHOED = (
    "instructions", "max_output_tokens", "previous_response_id", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "temperature", "top_p", "user",
)  # fmt: skip


class Making:
    """One response. items: of the conversation before it, its own input last.

    size: bytes of the conversation, as it was sent, and characters of its answers.
    status: queued, in_progress, completed, incomplete, failed or cancelled.
    rounds: results of those that are over.
    """

    def __init__(
        self, asked: ResponseRequest, model: str, size: int = 0, before: Making | None = None
    ) -> None:
        """size: bytes of the request. before: the response that it goes on from."""
        self.asked = asked.model_copy(update={"input": []})  # it is in items, and once is enough
        self.model, self.size = model, size
        self.items: list[Item] = [item.item() for item in asked.input]
        if before is not None:
            self.size += before.size
            self.items = [*before.items, *before.output(), *self.items]
        self.id = f"resp_{uuid.uuid4().hex}"
        self.status = "queued" if asked.background else "in_progress"
        self.result: RequestResult | None = None
        self.recording = Recording() if asked.background and asked.stream else None
        self._created = answer.now()
        self._completed: int | None = None
        self._error: dict[str, Any] | None = None
        self._output = Output()
        self._output.namespaces = asked.namespaces()
        self.rounds: list[RequestResult] = []
        self._ran: Sequence[Mapping[str, str]] = ()
        self._parser = Dialect().parser()

    @property
    def running(self) -> bool:
        return self.status in ("queued", "in_progress")

    def read_with(self, parser: AnswerParser, ours: frozenset[str] = frozenset()) -> None:
        """What tells reasoning and calls apart; to be given before each round. ours: tools whose
        calls are not the client's."""
        self._parser = parser
        self._output.hidden = ours

    def take(self, one: Event) -> list[Change]:
        """A piece of the answer, or the end of a round; what that changes."""
        self.status = "in_progress"
        self.size += len(one.text)
        deltas = self._parser.push(one.text)
        if not isinstance(one, Finished):
            entry = None if one.logprob is None else answer.logprob(one.logprob)
            changes = self._output.take(deltas, entry)
            self._output.count()
            return changes
        self.rounds.append(one.result)
        return self._output.take([*deltas, *self._parser.finish()])

    def end(self, ran: Sequence[Mapping[str, str]]) -> list[Change]:
        """There is no further round. ran: the server's own tools, and what they said."""
        self.result = self.rounds[-1]
        self.status = "completed" if self.result.finish_reason == "stop" else "incomplete"
        self._ran = ran
        self._completed = answer.now()
        return self._output.end(whole=self.status == "completed")

    def nothing(self) -> list[Change]:
        """There is nothing to answer: no input, and none before it. So is the answer."""
        self.status = "completed"
        self._completed = answer.now()
        return []

    def fail(self, error: Exception) -> None:
        """The end, without an answer."""
        self.status = "failed"
        self._output.stop()
        code = "rate_limit_exceeded" if isinstance(error, EngineBusy) else "server_error"
        self._error = {"code": code, "message": str(api_error(error))}

    def cancel(self) -> None:
        """The end, because somebody wants it, unless it has ended."""
        if self.running:
            self.status = "cancelled"
            self._output.stop()

    def output(self) -> list[Item]:
        """What has been answered; nothing while it goes on."""
        return [] if self.running else self._output.items

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
            "text": {"format": _shown(asked.form) or {"type": "text"}},
            "tool_choice": _shown(asked.tool_choice) or "auto",
            "tools": [tool.shown() for tool in asked.tools or () if not isinstance(tool, LeftOut)],
            "top_logprobs": asked.top_logprobs or 0,
            "truncation": asked.truncation or "disabled",
            "usage": self._usage(),
            **{name: getattr(asked, name) for name in ECHOED},
            "metadata": asked.metadata or {},
            **({"server_tool_calls": self._ran} if self._ran else {}),
        }

    def _usage(self) -> dict[str, Any] | None:
        if self.result is None:
            return None
        counts = answer.usage_of_all([[result] for result in self.rounds])
        cached = counts["prompt_tokens_details"]["cached_tokens"]
        return {
            "input_tokens": counts["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": counts["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": self._output.reasoning_tokens},
            "total_tokens": counts["total_tokens"],
        }


def _shown(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else value
