"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from tramontane.answers import Answer
from tramontane.engine.request import Finished

from tramontane_plugin_server.adapters import with_adapter
from tramontane_plugin_server.app_state import Registered, Serving, serving_of
from tramontane_plugin_server.built_in import SEARCH
from tramontane_plugin_server.http.access import owner
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route
from tramontane_plugin_server.tool_loop import Rounds, begin_rounds

from . import answer
from .chat_choice import ChoiceStream, complete_choice
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
async def chat(request: Request, body: ChatRequest) -> Response:
    """The answer; with `stream`, server-sent events while it is generated."""
    serving = serving_of(request)
    body = with_adapter(serving, body)
    if body.stream:
        return serving.stream(_events(serving, body), answer.failed)
    work = _complete(serving, body)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


async def _complete(serving: Serving, body: ChatRequest) -> dict[str, Any]:
    async with serving.catalog.lease(body.model) as (served, model):
        rounds = await _begin(serving, model, body)
        answers: list[list[Answer]] = []
        async for generation in rounds.generations(served.name):
            with generation:
                results = await generation.finish()
            answers.append([rounds.parser().whole(result.text) for result in results])
    by_choice = zip(zip(*rounds.results, strict=True), zip(*answers, strict=True), strict=True)
    choices = [
        complete_choice(index, *parts, rounds.hidden, rounds.calls_made)
        for index, parts in enumerate(by_choice)
    ]
    return {
        "id": answer.identity("chatcmpl"),
        "object": "chat.completion",
        "created": answer.now(),
        "model": served.answers_as(body.model),
        "choices": choices,
        "usage": answer.usage_of_all(rounds.results),
    }


async def _events(serving: Serving, body: ChatRequest) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(body.model) as (served, model):
        rounds = await _begin(serving, model, body)
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        head = {
            "id": answer.identity("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": answer.now(),
            "model": served.answers_as(body.model),
        }
        more = {"usage": None} if include_usage else {}

        def chunk(part: dict[str, Any]) -> bytes:
            return event({**head, "choices": [part], **more})

        count = len(rounds.requests)
        streams = [ChoiceStream(index, rounds.parser(), rounds.hidden) for index in range(count)]
        async with aclosing(rounds.steps(served.name)) as steps:
            async for generation in steps:
                if isinstance(generation, dict):
                    yield chunk(streams[0].notice(generation))
                    continue
                if rounds.results:
                    streams[0].next_round(rounds.parser())
                with generation:
                    async for events in generation:
                        found: list[bytes] = []
                        for one in events:
                            index = generation.index[one.id]
                            found += map(chunk, streams[index].chunks(one))
                            if isinstance(one, Finished) and not rounds.hidden:  # else it may go on
                                found.append(chunk(streams[index].end(one.result)))
                        if found:
                            yield b"".join(found)
        if rounds.hidden:
            yield chunk(streams[0].end(rounds.results[-1][0], rounds.calls_made))
        if include_usage:
            yield event({**head, "choices": [], "usage": answer.usage_of_all(rounds.results)})
        yield answer.DONE


async def _begin(serving: Serving, model: LoadedModel, body: ChatRequest) -> Rounds:
    acting = serving.acting
    if body.web_search_options is not None and (acting is None or SEARCH not in acting.names):
        raise ApiError(
            400, "this server has no web search: its owner has not turned it on",
            param="web_search_options", code="unsupported_parameter",
        )  # fmt: skip
    multiple = (body.n or 1) > 1  # of which each would go on in rounds of its own
    registered = Registered([])
    if not multiple:
        asks = bool(body.stream and body.tool_approvals)
        session = None if body.session_id is None else f"{owner()}/{body.session_id}"
        register = partial(serving.registered_tools, asks=asks)
        registered = await asyncio.to_thread(
            register, body.client_tools(), model.processors, session
        )
    return await begin_rounds(
        serving, model, body.conversation(), body.sampling(), body.toolbox(registered.functions),
        registered, _variables(body), body.request_fields(),
    )  # fmt: skip


def _variables(body: ChatRequest) -> dict[str, Any]:
    try:
        return body.variables()
    except ValueError as error:
        raise ApiError(400, str(error), param="chat_template_kwargs") from error
