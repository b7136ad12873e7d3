"""POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, FinishReason, RequestResult

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.errors import api_error, body
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route

from .content import Blocks
from .message_request import CountRequest, MessageRequest
from .shapes import ERRORS, Answer, Count
from .to_engine import Prompted, prompt
from .wire import Wire

router = APIRouter(route_class=Route)
REASONS: dict[FinishReason, str] = {
    "stop": "end_turn", "length": "max_tokens", "context": "model_context_window_exceeded",
}  # fmt: skip


@router.post(
    "/v1/messages",
    summary="Answer a conversation, as Anthropic does",
    response_class=JSONResponse,
    responses={**ERRORS, 200: {"model": Answer, "content": {"text/event-stream": {}}}},
)
async def messages(request: Request, asked: MessageRequest) -> Response:
    """The answer, or with `stream` its pieces as server-sent events."""
    serving = serving_of(request)
    if asked.stream:
        return serving.stream(_events(serving, asked), _failed)
    work = _whole(serving, asked)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


@router.post(
    "/v1/messages/count_tokens",
    response_model=Count,
    response_model_exclude_unset=True,
    responses=ERRORS,
)
async def count_tokens(asker: Request, asked: CountRequest) -> dict[str, Any]:
    """How many tokens a conversation has, as the chat template writes it."""
    serving = serving_of(asker)
    async with serving.catalog.lease(asked.model) as (_, model):
        prompted = await asyncio.to_thread(prompt, serving, model, asked)
    more: dict[str, Any] = {}
    if asked.context_management is not None:
        more["context_management"] = {"original_input_tokens": prompted.original_tokens}
    return {"input_tokens": prompted.prompt_tokens, **more}


async def _whole(serving: Serving, asked: MessageRequest) -> dict[str, Any]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompted = await asyncio.to_thread(prompt, serving, model, asked)
        rounds = prompted.rounds
        blocks = Blocks(omit=asked.omits_thinking, hidden=rounds.hidden)
        async for generation in rounds.generations(served.name):
            with generation:
                (result,) = await generation.finish()
            parser = rounds.parser()
            blocks.take([*parser.push(result.text), *parser.finish()])
    blocks.end()
    end = _end(result, called=blocks.called)
    return {**_head(served.name), "content": blocks.done, **end, **_usage_of(prompted, asked)}


async def _events(serving: Serving, asked: MessageRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompted = await asyncio.to_thread(prompt, serving, model, asked)
        rounds = prompted.rounds
        blocks, wire = Blocks(omit=asked.omits_thinking, hidden=rounds.hidden), Wire()
        async for generation in rounds.generations(served.name):
            parser = rounds.parser()
            with generation:
                async for events in generation:
                    pieces = []
                    if not wire.begun:
                        pieces.append(wire.start(_started(served.name, prompted.prompt_tokens)))
                    for one in events:
                        pieces.append(wire.pieces(blocks.take(parser.push(one.text))))
                        if isinstance(one, Finished):
                            pieces.append(wire.pieces(blocks.take(parser.finish())))
                    if found := b"".join(pieces):
                        yield found
        end = _end(rounds.results[-1][0], called=blocks.called)
        yield wire.pieces(blocks.end()) + wire.stop(end, **_usage_of(prompted, asked))


def _head(name: str) -> dict[str, Any]:
    identity = f"msg_{uuid.uuid4().hex}"
    return {"id": identity, "type": "message", "role": "assistant", "model": name}


def _started(name: str, tokens: int) -> dict[str, Any]:
    """The message before its first word; how much of the prompt was cached is told at its end."""
    usage = {
        "input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }  # fmt: skip
    end = {"stop_reason": None, "stop_sequence": None}
    return {**_head(name), "content": [], **end, "usage": usage}


def _end(result: RequestResult, *, called: bool) -> dict[str, Any]:
    reason = REASONS[result.finish_reason] if result.stop is None else "stop_sequence"
    if called and reason == "end_turn":
        reason = "tool_use"
    return {"stop_reason": reason, "stop_sequence": result.stop}


def _usage_of(prompted: Prompted, asked: MessageRequest) -> dict[str, Any]:
    """The usage of all rounds, the calls that ran here, and the edits of the conversation."""
    found: dict[str, Any] = {"usage": _usage([round[0] for round in prompted.rounds.results])}
    if calls := prompted.rounds.calls_made:
        found["server_tool_calls"] = calls
    if asked.context_management is not None:
        found["context_management"] = {"applied_edits": prompted.applied_edits}
    return found


def _usage(rounds: Sequence[RequestResult]) -> dict[str, int]:
    cached = sum(result.usage.cached_tokens for result in rounds)
    return {
        "input_tokens": sum(result.usage.prompt_tokens for result in rounds) - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": sum(result.usage.completion_tokens for result in rounds),
    }


def _failed(error: Exception) -> bytes:
    return event(body(api_error(error), anthropic=True), "error")
