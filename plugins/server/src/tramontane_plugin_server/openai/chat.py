"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished

from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.serving import Serving, serving_of

from . import answer
from .chat_request import ChatRequest
from .shapes import ERRORS, ChatCompletion

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    summary="Answer a conversation",
    response_class=JSONResponse,
    responses={**ERRORS, 200: {"model": ChatCompletion, "content": {"text/event-stream": {}}}},
)
async def chat(request: Request, asked: ChatRequest) -> Response:
    """The answer, or with `stream` its pieces as server-sent events."""
    serving = serving_of(request)
    if asked.stream:
        return serving.stream(_events(serving, asked), answer.failed)
    work = _whole(serving, asked)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


async def _whole(serving: Serving, asked: ChatRequest) -> dict[str, Any]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompt = await serving.encode_chat(model, asked.conversation(), **_variables(asked))
        params = asked.sampling()
        with serving.generate(model, served.name, [prompt], params, **asked.place()) as generation:
            results = await generation.results()
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": result.text},
            "logprobs": result.logprobs
            and {"content": [answer.logprob(entry) for entry in result.logprobs]},
            "finish_reason": answer.REASONS[result.finish_reason],
        }
        for index, result in enumerate(results)
    ]
    return {
        "id": answer.identity("chatcmpl"),
        "object": "chat.completion",
        "created": answer.now(),
        "model": served.name,
        "choices": choices,
        "usage": answer.usage(results),
    }


async def _events(serving: Serving, asked: ChatRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.model) as (served, model):
        prompt = await serving.encode_chat(model, asked.conversation(), **_variables(asked))
        params = asked.sampling()
        told = asked.stream_options is not None and asked.stream_options.include_usage
        head = {
            "id": answer.identity("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": answer.now(),
            "model": served.name,
        }

        def chunk(index: int, delta: dict[str, Any], **more: Any) -> bytes:
            choice = {
                "index": index, "delta": delta, "logprobs": None, "finish_reason": None, **more,
            }  # fmt: skip
            return event({**head, "choices": [choice], **({"usage": None} if told else {})})

        begun: set[int] = set()
        results = []
        with serving.generate(model, served.name, [prompt], params, **asked.place()) as generation:
            async for events in generation:
                pieces: list[bytes] = []
                for one in events:
                    index = generation.index[one.id]
                    if index not in begun:
                        begun.add(index)
                        pieces.append(chunk(index, {"role": "assistant", "content": ""}))
                    entry = None if isinstance(one, Finished) else one.logprob
                    more = {"logprobs": {"content": [answer.logprob(entry)]}} if entry else {}
                    if one.text or more:
                        pieces.append(chunk(index, {"content": one.text}, **more))
                    if isinstance(one, Finished):
                        results.append(one.result)
                        reason = answer.REASONS[one.result.finish_reason]
                        pieces.append(chunk(index, {}, finish_reason=reason))
                if pieces:
                    yield b"".join(pieces)
        if told:
            yield event({**head, "choices": [], "usage": answer.usage(results)})
        yield answer.DONE


def _variables(asked: ChatRequest) -> dict[str, Any]:
    try:
        return asked.variables()
    except ValueError as error:
        raise ApiError(400, str(error), param="chat_template_kwargs") from error
