"""The state of a response, from the request to the end."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from tramontane.answers import AnswerParser, Dialect
from tramontane.engine.request import Event, Finished, RequestResult

from tramontane_plugin_server.built_in import Record, response_item
from tramontane_plugin_server.http.errors import api_error

from . import answer
from .response_output import Change, Output
from .response_output_items import Item
from .response_recording import Recording
from .response_request import ResponseRequest
from .tool_fields import UnsupportedTool

ECHOED = (
    "instructions", "max_output_tokens", "previous_response_id", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "temperature", "top_p", "user",
)  # fmt: skip


class ResponseState:
    """One response. items: the input, after the items of the responses that it continues.

    size: bytes of the requests of the conversation, and characters of the answers.
    status: queued, in_progress, completed, incomplete, failed or cancelled.
    rounds: results of the finished rounds.
    """

    def __init__(
        self, body: ResponseRequest, model: str, size: int = 0, before: ResponseState | None = None
    ) -> None:
        """size: bytes of the request. before: the response that it continues."""
        self.body = body.model_copy(update={"input": []})  # it is in items
        self.model, self.size = model, size
        self.items: list[Item] = [item.item() for item in body.input]
        if before is not None:
            self.size += before.size
            self.items = [*before.items, *before.output(), *self.items]
        self.id = f"resp_{uuid.uuid4().hex}"
        self.status = "queued" if body.background else "in_progress"
        self.result: RequestResult | None = None
        self.recording = Recording() if body.background and body.stream else None
        self._created = answer.now()
        self._completed: int | None = None
        self._error: dict[str, Any] | None = None
        self._output = Output()
        self._output.namespaces = body.namespaces()
        self.rounds: list[RequestResult] = []
        self._calls_made: Sequence[Mapping[str, Any]] = ()
        self._parser = Dialect().parser()

    @property
    def running(self) -> bool:
        return self.status in ("queued", "in_progress")

    def set_parser(self, parser: AnswerParser, registered: frozenset[str] = frozenset()) -> None:
        """Set the parser of the next round's answer. registered: tools whose calls the client does
        not see."""
        self._parser = parser
        self._output.hidden = registered

    def push(self, one: Event) -> list[Change]:
        """Add an event of the engine; returns the changes of the output."""
        self.status = "in_progress"
        self.size += len(one.text)
        deltas = self._parser.push(one.text)
        if not isinstance(one, Finished):
            entry = None if one.logprob is None else answer.logprob(one.logprob)
            changes = self._output.push(deltas, entry)
            self._output.count()
            return changes
        self.rounds.append(one.result)
        return self._output.push([*deltas, *self._parser.finish()])

    def ran(self, calls: Iterable[tuple[str, Record]]) -> list[Change]:
        """Add calls that ran in the server, each with its toolset; returns the changes of the
        output."""
        items = (response_item(toolset, record) for toolset, record in calls)
        return [change for item in items if item for change in self._output.add(item)]

    def end(self, calls_made: Sequence[Mapping[str, Any]]) -> list[Change]:
        """Complete the response. calls_made: a record of the calls that ran in the server."""
        self.result = self.rounds[-1]
        self.status = "completed" if self.result.finish_reason == "stop" else "incomplete"
        self._calls_made = calls_made
        self._completed = answer.now()
        return self._output.end(complete=self.status == "completed")

    def end_empty(self) -> list[Change]:
        """Complete the response without output, because there is no input."""
        self.status = "completed"
        self._completed = answer.now()
        return []

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self.status = "failed"
        self._output.stop()
        said = api_error(error)
        code = "rate_limit_exceeded" if said.status == 429 else "server_error"
        self._error = {"code": code, "message": str(said)}

    def cancel(self) -> None:
        """Cancel, unless it has ended."""
        if self.running:
            self.status = "cancelled"
            self._output.stop()

    def output(self) -> list[Item]:
        """The output items; none while the response is in progress."""
        return [] if self.running else self._output.items

    def as_dict(self) -> dict[str, Any]:
        """The response in OpenAI's form."""
        body = self.body
        reasoning = None if body.reasoning is None else body.reasoning.effort
        incomplete = {"reason": "max_output_tokens"} if self.status == "incomplete" else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "completed_at": self._completed if self.status == "completed" else None,
            "status": self.status,
            "background": bool(body.background),
            "error": self._error,
            "incomplete_details": incomplete,
            "model": self.model,
            "output": self.output(),
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "reasoning": {"effort": reasoning, "summary": None},
            "service_tier": "default",
            "store": body.stored,
            "text": {"format": _as_dict(body.answer_format) or {"type": "text"}},
            "tool_choice": _as_dict(body.tool_choice) or "auto",
            "tools": [
                tool.as_dict() for tool in body.tools or () if not isinstance(tool, UnsupportedTool)
            ],
            "top_logprobs": body.top_logprobs or 0,
            "truncation": body.truncation or "disabled",
            "usage": self._usage(),
            **{name: getattr(body, name) for name in ECHOED},
            "metadata": body.metadata or {},
            **({"server_tool_calls": self._calls_made} if self._calls_made else {}),
        }

    def _usage(self) -> dict[str, Any] | None:
        if self.result is None:
            return None
        counts = answer.usage_of_all([[result] for result in self.rounds])
        return {
            "input_tokens": counts["prompt_tokens"],
            "input_tokens_details": {**counts["prompt_tokens_details"], "cache_write_tokens": 0},
            "output_tokens": counts["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": self._output.reasoning_tokens},
            "total_tokens": counts["total_tokens"],
        }


def _as_dict(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else value
