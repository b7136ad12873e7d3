"""POST /v1/responses, and retrieving, cancelling and deleting stored responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from tramontane_plugin_server.adapters import with_adapter
from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.built_in import asked_for
from tramontane_plugin_server.http.errors import ApiError, api_error
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Queried, Route

from .fields import NO_EFFECT
from .response_output import Change
from .response_prompt import begin_rounds
from .response_request import ResponseRequest
from .response_shapes import Deleted, InputItems, ResponseAnswer
from .response_state import ResponseState
from .response_wire import Wire
from .shapes import ERRORS

router = APIRouter(route_class=Route)
log = logging.getLogger(__name__)


class ListQuery(Queried):
    """Query parameters of listing input items."""

    include: list[str] = Field(default_factory=list, description=NO_EFFECT)
    include_: list[str] = Field(default_factory=list, alias="include[]", description=NO_EFFECT)
    after: str | None = Field(
        None, max_length=256, description="the page starts after the item of this id"
    )
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"


class RetrieveQuery(Queried):
    """Query parameters of retrieving a response."""

    include: list[str] = Field(default_factory=list, description=NO_EFFECT)
    include_: list[str] = Field(default_factory=list, alias="include[]", description=NO_EFFECT)
    include_obfuscation: bool | None = Field(None, description=NO_EFFECT)
    stream: bool = Field(
        False, description="stream its events, if it was created with `background` and `stream`"
    )
    starting_after: int | None = Field(
        None, ge=0, description="only events after this `sequence_number`"
    )


@router.post(
    "/v1/responses",
    summary="Answer a conversation and store the answer",
    response_class=JSONResponse,
    responses={**ERRORS, 200: {"model": ResponseAnswer, "content": {"text/event-stream": {}}}},
)
async def create(request: Request, body: ResponseRequest) -> Response:
    """The response; with `stream`, server-sent events; with `background`, at once, unfinished."""
    serving = serving_of(request)
    body = with_adapter(serving, body)
    served = serving.catalog.find(body.model)
    previous = body.previous_response_id
    before = None if previous is None else serving.responses.finished(previous)
    state = ResponseState(body, served.answers_as(body.model), len(await request.body()), before)
    if body.stream and not body.background:
        wire = Wire(state)
        return serving.stream(_events(serving, state, wire), wire.failed)
    if body.background:
        as_dict = await _start_background(request, serving, state)
        return JSONResponse(as_dict) if state.recording is None else _replay(serving, state, -1)
    work = _complete(serving, state)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


@router.get("/v1/responses/{response_id}", response_model=ResponseAnswer, responses=ERRORS)
async def show(request: Request, response_id: str, how: Annotated[RetrieveQuery, Query()]) -> Any:
    """A stored response in its current state. With `stream`: its events, including future ones."""
    serving = serving_of(request)
    state = serving.responses.get(response_id)
    if how.stream:
        return _replay(serving, state, -1 if how.starting_after is None else how.starting_after)
    if how.starting_after is not None:
        raise ApiError(400, "starting_after requires stream=true", param="starting_after")
    return state.as_dict()


@router.delete("/v1/responses/{response_id}", response_model=Deleted, responses=ERRORS)
async def delete(request: Request, response_id: str) -> dict[str, Any]:
    """Delete a response; one that is still in progress is cancelled."""
    await serving_of(request).responses.delete(response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/v1/responses/{response_id}/cancel", response_model=ResponseAnswer, responses=ERRORS)
async def cancel(request: Request, response_id: str) -> dict[str, Any]:
    """Cancel a background response; its output so far is kept."""
    return (await serving_of(request).responses.cancel(response_id)).as_dict()


@router.get("/v1/responses/{response_id}/input_items", response_model=InputItems, responses=ERRORS)
async def input_items(
    request: Request, response_id: str, which: Annotated[ListQuery, Query()]
) -> dict[str, Any]:
    """The input items of a response, including those of the responses that it continues."""
    items = serving_of(request).responses.get(response_id).items
    found = items if which.order == "asc" else items[::-1]
    if which.after is not None:
        places = [i for i, item in enumerate(found) if item["id"] == which.after]
        if not places:
            raise ApiError(400, f"{response_id} has no item {which.after!r}", param="after")
        found = found[places[0] + 1 :]
    page = found[: which.limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(found) > len(page),
    }


def _replay(serving: Serving, state: ResponseState, number: int) -> Response:
    """Stream the recorded events after a sequence number. Raises ApiError."""
    if state.recording is None:
        raise ApiError(
            400, f"{state.id} has no events to stream: it was not created with background and"
            " stream", param="stream",
        )  # fmt: skip

    def failed(error: Exception) -> bytes:
        found = api_error(error)
        content = {"type": "error", "code": found.code or found.kind, "message": str(found)}
        return event({**content, "param": found.param, "sequence_number": 0}, "error")

    return serving.stream(state.recording.after(number), failed)


async def _generate(
    serving: Serving, state: ResponseState
) -> AsyncGenerator[list[Change] | None, None]:
    """Generate the response. The first item is None: the request is accepted."""
    body = state.body
    if not state.items:
        yield None
        changes = state.end_empty()
        if body.stored and not body.background:
            serving.responses.put(state)
        yield changes
        return
    async with serving.catalog.lease(body.model) as (served, model):
        rounds = await serving.in_thread(begin_rounds, serving, model, body, state.items)
        asked = asked_for(body.tools)
        async for generation in rounds.generations(served.name):
            if changes := state.ran(rounds.named_calls(asked)):
                yield changes
            state.set_parser(rounds.parser(), rounds.hidden)
            with generation:
                if not state.rounds:
                    yield None
                async for events in generation:
                    yield [change for one in events for change in state.push(one)]
        changes = [*state.ran(rounds.named_calls(asked)), *state.end(rounds.calls_made)]
        if body.stored and not body.background:
            serving.responses.put(state)
        yield changes


async def _complete(serving: Serving, state: ResponseState) -> dict[str, Any]:
    async with aclosing(_generate(serving, state)) as batches:
        async for _ in batches:
            pass
    return state.as_dict()


async def _events(serving: Serving, state: ResponseState, wire: Wire) -> AsyncIterator[bytes]:
    async with aclosing(_generate(serving, state)) as batches:
        async for changes in batches:
            if changes is None:  # it may still be refused: nothing is sent yet
                continue
            chunks = [wire.opening(), wire.changes(changes)]
            if not state.running:
                chunks.append(wire.end())
            if found := b"".join(chunks):
                yield found


async def _start_background(
    request: Request, serving: Serving, state: ResponseState
) -> dict[str, Any]:
    """Start a background task once the request is accepted."""
    seconds = serving.settings.request_timeout
    started = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_background(serving, state, started, seconds))
    try:
        await while_here(request, started, seconds)
    except BaseException:
        task.cancel()
        raise
    as_dict = state.as_dict()
    serving.responses.put(state, task)
    return as_dict


async def _background(
    serving: Serving, state: ResponseState, started: asyncio.Future[None], seconds: float
) -> None:
    wire: Wire | None = None
    try:
        async with asyncio.timeout(seconds), aclosing(_generate(serving, state)) as batches:
            async for changes in batches:
                if not started.done():
                    if state.recording is not None:
                        state.status = "in_progress"
                        wire = Wire(state)
                    started.set_result(None)
                if wire is not None and changes is not None:
                    wire.changes(changes)
                    if not state.running:
                        wire.end()
    except asyncio.CancelledError:
        state.cancel()
        if wire is not None:
            wire.end()
    except Exception as error:  # noqa: BLE001 - the error goes to the client
        if isinstance(error, TimeoutError):
            error = ApiError(504, f"the answer was not complete within {seconds:g} s")
        if not started.done():
            started.set_exception(error)
            return
        log.warning("background response %s failed: %s", state.id, error)
        if wire is None:
            state.fail(error)
        else:
            wire.failed(error)
    finally:
        if state.recording is not None:
            state.recording.end()
