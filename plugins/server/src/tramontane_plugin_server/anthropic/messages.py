"""POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, FinishReason, RequestResult

from tramontane_plugin_server.adapters import with_adapter
from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.built_in import asked_for, message_blocks
from tramontane_plugin_server.http.errors import api_error, error_body
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route
from tramontane_plugin_server.tool_loop import Rounds

from .content import Blocks, Change
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
async def messages(request: Request, body: MessageRequest) -> Response:
    """The answer; with `stream`, server-sent events while it is generated."""
    serving = serving_of(request)
    body = with_adapter(serving, body)
    if body.stream:
        return serving.stream(_events(serving, body), _failed)
    work = _complete(serving, body)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


@router.post(
    "/v1/messages/count_tokens",
    response_model=Count,
    response_model_exclude_unset=True,
    responses=ERRORS,
)
async def count_tokens(asker: Request, body: CountRequest) -> dict[str, Any]:
    """How many tokens a conversation has, as the chat template writes it."""
    serving = serving_of(asker)
    async with serving.catalog.lease(body.model) as (_, model):
        prompted = await serving.in_thread(prompt, serving, model, body)
    more: dict[str, Any] = {}
    if body.context_management is not None:
        more["context_management"] = {"original_input_tokens": prompted.original_tokens}
    return {"input_tokens": prompted.prompt_tokens, **more}


async def _complete(serving: Serving, body: MessageRequest) -> dict[str, Any]:
    async with serving.catalog.lease(body.model) as (served, model):
        prompted = await serving.in_thread(prompt, serving, model, body)
        rounds = prompted.rounds
        blocks = Blocks(omit_thinking=body.thinking_omitted, hidden=rounds.hidden)
        asked = asked_for(body.tools)
        async for generation in rounds.generations(served.name):
            _ran(rounds, blocks, asked)
            with generation:
                (result,) = await generation.finish()
            parser = rounds.parser()
            blocks.push([*parser.push(result.text), *parser.finish()])
    _ran(rounds, blocks, asked)
    blocks.end()
    end = _end(result, has_tool_use=blocks.has_tool_use)
    return {
        **_head(served.answers_as(body.model)),
        "content": blocks.finished,
        **end,
        **_usage_of(prompted, body),
    }


async def _events(serving: Serving, body: MessageRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(body.model) as (served, model):
        prompted = await serving.in_thread(prompt, serving, model, body)
        rounds = prompted.rounds
        blocks, wire = Blocks(omit_thinking=body.thinking_omitted, hidden=rounds.hidden), Wire()
        asked = asked_for(body.tools)
        async for generation in rounds.generations(served.name):
            parser = rounds.parser()
            if changes := _ran(rounds, blocks, asked):
                yield wire.changes(changes)
            with generation:
                async for events in generation:
                    chunks = []
                    if not wire.begun:
                        chunks.append(
                            wire.start(
                                _started(served.answers_as(body.model), prompted.prompt_tokens)
                            )
                        )
                    for one in events:
                        chunks.append(wire.changes(blocks.push(parser.push(one.text))))
                        if isinstance(one, Finished):
                            chunks.append(wire.changes(blocks.push(parser.finish())))
                    if found := b"".join(chunks):
                        yield found
        end = _end(rounds.results[-1][0], has_tool_use=blocks.has_tool_use)
        changes = [*_ran(rounds, blocks, asked), *blocks.end()]
        yield wire.changes(changes) + wire.stop(end, **_usage_of(prompted, body))


def _ran(rounds: Rounds, blocks: Blocks, asked: frozenset[str]) -> list[Change]:
    """Add the blocks of calls that ran in the server since; returns the changes. asked: toolsets
    of the request."""
    return [
        change
        for toolset, record in rounds.named_calls(asked)
        for block in message_blocks(toolset, record)
        for change in blocks.add(block)
    ]


def _head(name: str) -> dict[str, Any]:
    identity = f"msg_{uuid.uuid4().hex}"
    return {"id": identity, "type": "message", "role": "assistant", "model": name}


def _started(name: str, tokens: int) -> dict[str, Any]:
    """The message before its first block; cached tokens are counted at its end."""
    usage = {
        "input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }  # fmt: skip
    end = {"stop_reason": None, "stop_sequence": None}
    return {**_head(name), "content": [], **end, "usage": usage}


def _end(result: RequestResult, *, has_tool_use: bool) -> dict[str, Any]:
    reason = REASONS[result.finish_reason] if result.stop is None else "stop_sequence"
    if has_tool_use and reason == "end_turn":
        reason = "tool_use"
    return {"stop_reason": reason, "stop_sequence": result.stop}


def _usage_of(prompted: Prompted, body: MessageRequest) -> dict[str, Any]:
    """The usage of all rounds, the calls that ran here, and the edits of the conversation."""
    found: dict[str, Any] = {"usage": _usage([round[0] for round in prompted.rounds.results])}
    if calls := prompted.rounds.calls_made:
        found["server_tool_calls"] = calls
    if body.context_management is not None:
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
    return event(error_body(api_error(error), anthropic=True), "error")
