"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.answers import Answer
from tramontane.engine.request import Finished, RequestResult

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route
from tramontane_plugin_server.tool_loop import Talk, talk

from . import answer
from .chat_choice import Pieces, choice
from .chat_request import ChatRequest
from .shapes import ERRORS, ChatCompletion

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

router = APIRouter(route_class=Route)


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
        going = await _begin(serving, model, asked)
        rounds: list[list[RequestResult]] = []
        said: list[list[Answer]] = []
        while not rounds or await going.goes_on(rounds[-1]):
            with serving.generate(model, served.name, going.requests) as generation:
                rounds.append(await generation.results())
            said.append([going.turn.parser().whole(result.text) for result in rounds[-1]])
    choices = [
        choice(index, results, answers, going.ours, going.ran)
        for index, (results, answers) in enumerate(
            zip(zip(*rounds, strict=True), zip(*said, strict=True), strict=True)
        )
    ]
    return {
        "id": answer.identity("chatcmpl"),
        "object": "chat.completion",
        "created": answer.now(),
        "model": served.name,
        "choices": choices,
        "usage": answer.usage_of_all(rounds),
    }


async def _events(serving: Serving, asked: ChatRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.model) as (served, model):
        going = await _begin(serving, model, asked)
        told = asked.stream_options is not None and asked.stream_options.include_usage
        head = {
            "id": answer.identity("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": answer.now(),
            "model": served.name,
        }
        more = {"usage": None} if told else {}

        def chunk(part: dict[str, Any]) -> bytes:
            return event({**head, "choices": [part], **more})

        count = len(going.requests)
        pieces = [Pieces(index, going.turn.parser(), going.ours) for index in range(count)]
        rounds: list[list[RequestResult]] = []
        while not rounds or await going.goes_on(rounds[-1]):
            if rounds:
                pieces[0].again(going.turn.parser())
            results: dict[int, RequestResult] = {}
            with serving.generate(model, served.name, going.requests) as generation:
                async for events in generation:
                    found: list[bytes] = []
                    for one in events:
                        index = generation.index[one.id]
                        found += map(chunk, pieces[index].of(one))
                        if isinstance(one, Finished):
                            results[index] = one.result
                            if not going.ours:  # else it may go on
                                found.append(chunk(pieces[index].end(one.result)))
                    if found:
                        yield b"".join(found)
            rounds.append([results[index] for index in range(count)])
        if going.ours:
            yield chunk(pieces[0].end(rounds[-1][0], going.ran))
        if told:
            yield event({**head, "choices": [], "usage": answer.usage_of_all(rounds)})
        yield answer.DONE


async def _begin(serving: Serving, model: LoadedModel, asked: ChatRequest) -> Talk:
    several = (asked.n or 1) > 1  # of which each would go on in rounds of its own
    ours = [] if several else serving.own_tools(asked.theirs())
    return await talk(
        serving, model, asked.conversation(), asked.sampling(), asked.toolbox(ours), ours,
        _variables(asked), asked.place(),
    )  # fmt: skip


def _variables(asked: ChatRequest) -> dict[str, Any]:
    try:
        return asked.variables()
    except ValueError as error:
        raise ApiError(400, str(error), param="chat_template_kwargs") from error
