"""POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, FinishReason, RequestResult

from tramontane_plugin_server.http.errors import api_error, body
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.serving import Serving, serving_of

from .message_request import CountRequest, MessageRequest
from .prompt import encode
from .shapes import ERRORS, Answer, Count
from .wire import Wire

router = APIRouter()
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


@router.post("/v1/messages/count_tokens", response_model=Count, responses=ERRORS)
async def count_tokens(request: Request, asked: CountRequest) -> dict[str, int]:
    """How many tokens a conversation has, as the chat template writes it."""
    async with serving_of(request).catalog.lease(asked.model) as (_, model):
        return {"input_tokens": len(await asyncio.to_thread(encode, model, asked))}


async def _whole(serving: Serving, asked: MessageRequest) -> dict[str, Any]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompt = await asyncio.to_thread(encode, model, asked)
        params = serving.limited(asked.sampling())
        requests = model.requests(prompt, params, **asked.place())
        with serving.generate(model, served.name, requests) as generation:
            (result,) = await generation.results()
    content = [{"type": "text", "text": result.text}] if result.text else []
    return {**_head(served.name), "content": content, **_end(result), "usage": _usage(result)}


async def _events(serving: Serving, asked: MessageRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompt = await asyncio.to_thread(encode, model, asked)
        params = serving.limited(asked.sampling())
        requests = model.requests(prompt, params, **asked.place())
        wire = Wire()
        with serving.generate(model, served.name, requests) as generation:
            async for events in generation:
                pieces = []
                if not wire.begun:
                    pieces.append(wire.start(_started(served.name, len(prompt))))
                for one in events:
                    pieces.append(wire.text(one.text))
                    if isinstance(one, Finished):
                        pieces.append(wire.stop(_end(one.result), _usage(one.result)))
                if found := b"".join(pieces):
                    yield found


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


def _end(result: RequestResult) -> dict[str, Any]:
    reason = REASONS[result.finish_reason] if result.stop is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": result.stop}


def _usage(result: RequestResult) -> dict[str, int]:
    counts = result.usage
    return {
        "input_tokens": counts.prompt_tokens - counts.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached_tokens,
        "output_tokens": counts.completion_tokens,
    }


def _failed(error: Exception) -> bytes:
    return event(body(api_error(error), "/v1/messages"), "error")
