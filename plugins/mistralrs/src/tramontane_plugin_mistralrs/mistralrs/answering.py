"""Results of the engine as the wheel's responses."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from tramontane.answers.deltas import CallArguments, CallEnd, CallStart, Content, Reasoning
from tramontane.engine.request import RequestResult
from tramontane.results import Chunk, Completion
from tramontane.tools import ToolCall

from .kinds import ToolCallType
from .responses import (
    CalledFunction,
    ChatCompletionChunkResponse,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    CompletionChoice,
    CompletionResponse,
    Delta,
    Logprobs,
    ResponseLogprob,
    ResponseMessage,
    ToolCallResponse,
    TopLogprob,
    Usage,
)

FINGERPRINT = "local"
ENDED = {"context": "length", "cancelled": "canceled"}
"""Our reasons for an end, where theirs are called otherwise."""


def usage_of(results: Sequence[Any]) -> Usage:
    """Counts and times of the answers to one prompt."""
    prompt = results[0].usage.prompt_tokens
    written = sum(result.usage.completion_tokens for result in results)
    reading = max(result.timings.prompt for result in results)
    writing = max(result.timings.decode for result in results)
    seconds = reading + writing
    return Usage(
        written, prompt, prompt + written, _rate(prompt + written, seconds), _rate(prompt, reading),
        _rate(written, writing), seconds, reading, writing,
    )  # fmt: skip


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def logprob_of(entry: Any) -> ResponseLogprob:
    """A token's entry."""
    top = [TopLogprob(token, logprob, text) for token, text, logprob in entry.top]
    return ResponseLogprob(entry.text, entry.logprob, list(entry.bytes), top)


def _logprobs(result: Any) -> Logprobs | None:
    return None if result.logprobs is None else Logprobs([logprob_of(e) for e in result.logprobs])


def _call(index: int, call: ToolCall | CallStart, arguments: str) -> ToolCallResponse:
    called = CalledFunction(call.name, arguments)
    return ToolCallResponse(index, call.id or f"call-{uuid.uuid4()}", ToolCallType.Function, called)


def _reason(result: RequestResult, *, called: bool = False) -> str:
    """Why an answer ended, by their names."""
    return "tool_calls" if called else ENDED.get(result.finish_reason, result.finish_reason)


def _head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()), "created": int(time.time()), "model": model,
        "system_fingerprint": FINGERPRINT, "object": kind,
    }  # fmt: skip


def chat_response(found: Completion, model: str) -> ChatCompletionResponse:
    """The answers to a chat, or to a text that stood in place of messages."""
    choices = []
    for index, result in enumerate(found.choices):
        answer = found.answers[index] if found.answers else None
        made = answer.calls if answer is not None else ()
        calls = [_call(place, call, call.arguments) for place, call in enumerate(made)]
        message = ResponseMessage(
            result.text if answer is None else answer.content, "assistant", calls,
            (answer.reasoning or None) if answer is not None else None,
        )  # fmt: skip
        ended = _reason(result, called=bool(calls))
        choices.append(Choice(ended, index, message, _logprobs(result), result.stop))
    return ChatCompletionResponse(
        choices=choices, usage=usage_of(found.choices), **_head(model, "chat.completion")
    )


def completion_response(found: Completion, model: str, echo: str) -> CompletionResponse:
    """The continuations of a text, each behind `echo`."""
    choices = [
        CompletionChoice(
            _reason(result), index, echo + result.text, _logprobs(result)
        )
        for index, result in enumerate(found.choices)
    ]  # fmt: skip
    usage = usage_of(found.choices)
    return CompletionResponse(choices=choices, usage=usage, **_head(model, "text_completion"))


def as_stream(found: ChatCompletionResponse) -> Iterator[ChatCompletionChunkResponse]:
    """An answer that is whole, as one chunk for each choice."""
    head = _head(found.model, "chat.completion.chunk")
    for choice in found.choices:
        message = choice.message
        delta = Delta(
            message.content or "", "assistant", message.tool_calls or None,
            message.reasoning_content,
        )  # fmt: skip
        last = choice is found.choices[-1]
        yield ChatCompletionChunkResponse(
            choices=[ChunkChoice(choice.finish_reason, choice.index, delta, None)],
            usage=found.usage if last else None, **head,
        )  # fmt: skip


def stream_of(chunks: Iterator[Chunk], model: str) -> Iterator[ChatCompletionChunkResponse]:
    """Chunks as they come. Every one has a text, and a call comes when it is whole."""
    head = _head(model, "chat.completion.chunk")
    open_calls: dict[tuple[int, int], tuple[CallStart, list[str]]] = {}
    called: set[int] = set()
    results: list[Any] = []
    for chunk in chunks:
        delta, whole = _delta(chunk, open_calls)
        called |= {chunk.index} if whole else set()
        ended = None
        if chunk.result is not None:
            results.append(chunk.result)
            ended = _reason(chunk.result, called=chunk.index in called)
        if not (delta.content or delta.reasoning_content or whole or ended or chunk.logprob):
            continue
        entry = None if chunk.logprob is None else logprob_of(chunk.logprob)
        stop = None if chunk.result is None else chunk.result.stop
        yield ChatCompletionChunkResponse(
            choices=[ChunkChoice(ended, chunk.index, delta, entry, stop)],
            usage=usage_of(results) if ended else None, **head,
        )  # fmt: skip


def _delta(
    chunk: Chunk, open_calls: dict[tuple[int, int], tuple[CallStart, list[str]]]
) -> tuple[Delta, bool]:
    """The new text of a chunk, and whether calls became whole with it."""
    if not chunk.deltas:
        return Delta(chunk.text if chunk.result is None or chunk.text else "", "assistant"), False
    content, reasoning, calls = "", "", []
    for each in chunk.deltas:
        if isinstance(each, Content):
            content += each.text
        elif isinstance(each, Reasoning):
            reasoning += each.text
        elif isinstance(each, CallStart):
            open_calls[chunk.index, each.index] = each, []
        elif isinstance(each, CallArguments):
            open_calls[chunk.index, each.index][1].append(each.text)
        elif isinstance(each, CallEnd):
            start, parts = open_calls.pop((chunk.index, each.index))
            if each.whole:
                calls.append(_call(each.index, start, "".join(parts)))
    return Delta(content, "assistant", calls or None, reasoning or None), bool(calls)
