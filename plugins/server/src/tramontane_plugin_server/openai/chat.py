"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.engine.request import Finished, RequestResult
from tramontane.turn import Turn

from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.serving import Serving, serving_of
from tramontane_plugin_server.turns import begin

from . import answer
from .chat_choice import Pieces, choice
from .chat_request import ChatRequest
from .shapes import ERRORS, ChatCompletion

if TYPE_CHECKING:
    from tramontane.engine.request import Request as Asking
    from tramontane.loaded_model import LoadedModel

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
        turn, requests = await _begin(serving, model, asked)
        with serving.generate(model, served.name, requests) as generation:
            results = await generation.results()
    choices = [
        choice(index, result, turn.parser().whole(result.text))
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
        turn, requests = await _begin(serving, model, asked)
        told = asked.stream_options is not None and asked.stream_options.include_usage
        head = {
            "id": answer.identity("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": answer.now(),
            "model": served.name,
        }
        more = {"usage": None} if told else {}
        pieces = [Pieces(index, turn.parser()) for index in range(len(requests))]
        results: dict[int, RequestResult] = {}
        with serving.generate(model, served.name, requests) as generation:
            async for events in generation:
                found: list[bytes] = []
                for one in events:
                    index = generation.index[one.id]
                    if isinstance(one, Finished):
                        results[index] = one.result
                    for part in pieces[index].of(one):
                        found.append(event({**head, "choices": [part], **more}))
                if found:
                    yield b"".join(found)
        if told:
            ordered = [results[index] for index in range(len(results))]
            yield event({**head, "choices": [], "usage": answer.usage(ordered)})
        yield answer.DONE


async def _begin(
    serving: Serving, model: LoadedModel, asked: ChatRequest
) -> tuple[Turn, list[Asking]]:
    return await begin(
        serving, model, asked.conversation(), asked.sampling(), asked.toolbox(),
        _variables(asked), asked.place(),
    )  # fmt: skip


def _variables(asked: ChatRequest) -> dict[str, Any]:
    try:
        return asked.variables()
    except ValueError as error:
        raise ApiError(400, str(error), param="chat_template_kwargs") from error
