"""The loop of tool calls: answer, run the calls, append their results, and ask the model again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from tramontane.engine.request import RequestResult
from tramontane.tools import ToolCall, ToolResult

from .chat_turn import Turn
from .toolbox import Outcome, Toolbox

if TYPE_CHECKING:
    from tramontane.results import Completion


class ToolLoop:
    """Decides after each answer of a turn whether its calls are run and another round follows.

    There are at most `max_rounds` rounds of calls, so `max_rounds + 1` answers, and no round begins
    after `max_seconds`. The calls of an
    answer are run together or not at all: not if one is of a tool that has only a schema, if there
    are several answers (`n`), or if the answer was cancelled.

    completion: the last answer. calls_made: a record of each call of a tool in `recorded`, with
    its `name`, `arguments` and `result`, the reason if it was not run; with `files` (names) and
    `citations` (`url`, `title`) where there are any.
    """

    completion: Completion

    def __init__(
        self,
        turn: Turn,
        toolbox: Toolbox,
        max_rounds: int,
        *,
        recorded: Collection[str] = (),
        notify: Callable[[ToolCall], None] | None = None,
        max_seconds: float | None = None,
    ) -> None:
        """recorded: names of tools. notify: called with each call before it is run."""
        self.turn, self.toolbox = turn, toolbox
        self.recorded = frozenset(recorded)
        self.calls_made: list[dict[str, Any]] = []
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._rounds_left = max_rounds
        self._notify = notify

    def next_round(self, results: Sequence[RequestResult]) -> bool:
        """Take an answer and run its calls; returns whether `turn` has another round."""
        if not self._has_calls_to_run(results):
            return False
        self._append(self.toolbox.run(self.completion.tool_calls))
        return True

    async def next_round_async(self, results: Sequence[RequestResult]) -> bool:
        """Like `next_round`, without blocking the event loop."""
        if not self._has_calls_to_run(results):
            return False
        self._append(await self.toolbox.run_async(self.completion.tool_calls))
        return True

    def _has_calls_to_run(self, results: Sequence[RequestResult]) -> bool:
        self.completion = self.turn.completed(results)
        calls = self.completion.tool_calls
        if results[0].finish_reason == "cancelled":
            return False
        if not self.turn.calls(self.completion):
            self._record_skipped(calls, "the answer also calls tools of the client's")
            return False
        if self._rounds_left <= 0:
            self._record_skipped(calls, "the answer has had all its rounds of tools")
            return False
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._record_skipped(calls, "the answer has had all its time for tools")
            return False
        if self._notify is not None:
            for call in calls:
                self._notify(call)
        return True

    def _append(self, outputs: Sequence[Outcome]) -> None:
        self.turn.add(self.completion, outputs)
        self._rounds_left -= 1
        for call, output in zip(self.completion.tool_calls, outputs, strict=True):
            self._record(call, output)

    def _record_skipped(self, calls: Sequence[ToolCall], reason: str) -> None:
        for call in calls:
            self._record(call, f"not run: {reason}")

    def _record(self, call: ToolCall, result: Outcome) -> None:
        if call.name in self.recorded:
            record = {"name": call.name, "arguments": call.arguments, **outcome_fields(result)}
            self.calls_made.append(record)


def outcome_fields(result: Outcome) -> dict[str, Any]:
    """What a call came to as JSON: `result`, and `files` and `citations` where there are any."""
    if not isinstance(result, ToolResult):
        return {"result": result}
    found: dict[str, Any] = {"result": result.text}
    if result.files:
        found["files"] = [
            path.name if path.is_absolute() else path.as_posix() for path in result.files
        ]
    if result.citations:
        found["citations"] = [{"url": one.url, "title": one.title} for one in result.citations]
    return found
