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

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.errors import ApiError, api_error
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Queried, Route

from .fields import NO_EFFECT
from .response_making import Making
from .response_output import Change
from .response_prompt import begin
from .response_request import ResponseRequest
from .response_shapes import Deleted, InputItems, ResponseAnswer
from .response_wire import Wire
from .shapes import ERRORS

router = APIRouter(route_class=Route)
log = logging.getLogger(__name__)


class Listing(Queried):
    """Which of a response's input items."""

    include: list[str] = Field(default_factory=list, description=NO_EFFECT)
    include_: list[str] = Field(default_factory=list, alias="include[]", description=NO_EFFECT)
    after: str | None = Field(
        None, max_length=256, description="the page starts after the item of this id"
    )
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"


class Showing(Queried):
    """How to show a response."""

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
async def create(request: Request, asked: ResponseRequest) -> Response:
    """The response; with `stream` its pieces as server-sent events; with `background` at once."""
    serving = serving_of(request)
    served = serving.catalog.find(asked.model)
    previous = asked.previous_response_id
    before = None if previous is None else serving.responses.finished(previous)
    making = Making(asked, served.name, len(await request.body()), before)
    if asked.stream and not asked.background:
        wire = Wire(making)
        return serving.stream(_events(serving, making, wire), wire.failed)
    if asked.background:
        shown = await _begin(request, serving, making)
        return JSONResponse(shown) if making.recording is None else _replayed(serving, making, -1)
    work = _whole(serving, making)
    return JSONResponse(await while_here(request, work, serving.settings.request_timeout))


@router.get("/v1/responses/{response_id}", response_model=ResponseAnswer, responses=ERRORS)
async def show(request: Request, response_id: str, how: Annotated[Showing, Query()]) -> Any:
    """A stored response in its current state. With `stream`: its events, including future ones."""
    serving = serving_of(request)
    making = serving.responses.get(response_id)
    if how.stream:
        return _replayed(serving, making, -1 if how.starting_after is None else how.starting_after)
    if how.starting_after is not None:
        raise ApiError(400, "starting_after requires stream=true", param="starting_after")
    return making.shown()


@router.delete("/v1/responses/{response_id}", response_model=Deleted, responses=ERRORS)
async def delete(request: Request, response_id: str) -> dict[str, Any]:
    """Delete a response; one that is still in progress is cancelled."""
    await serving_of(request).responses.delete(response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/v1/responses/{response_id}/cancel", response_model=ResponseAnswer, responses=ERRORS)
async def cancel(request: Request, response_id: str) -> dict[str, Any]:
    """Cancel a background response; its output so far is kept."""
    return (await serving_of(request).responses.cancel(response_id)).shown()


@router.get("/v1/responses/{response_id}/input_items", response_model=InputItems, responses=ERRORS)
async def input_items(
    request: Request, response_id: str, which: Annotated[Listing, Query()]
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


def _replayed(serving: Serving, making: Making, number: int) -> Response:
    """The events of a response after one of them. Raises ApiError."""
    if making.recording is None:
        raise ApiError(
            400, f"{making.id} has no events to stream: it was not created with background and"
            " stream", param="stream",
        )  # fmt: skip

    def failed(error: Exception) -> bytes:
        found = api_error(error)
        told = {"type": "error", "code": found.code or found.kind, "message": str(found)}
        return event({**told, "param": found.param, "sequence_number": 0}, "error")

    return serving.stream(making.recording.after(number), failed)


async def _batches(serving: Serving, making: Making) -> AsyncGenerator[list[Change] | None, None]:
    """Make the response. First comes None: the request is valid and has its place."""
    asked = making.asked
    if not making.items:
        yield None
        changes = making.nothing()
        if asked.stored and not asked.background:
            serving.responses.put(making)
        yield changes
        return
    async with serving.catalog.lease(asked.model) as (served, model):
        rounds = await asyncio.to_thread(begin, serving, model, asked, making.items)
        async for generation in rounds.generations(served.name):
            making.read_with(rounds.parser(), rounds.hidden)
            with generation:
                if not making.rounds:
                    yield None
                async for events in generation:
                    yield [change for one in events for change in making.take(one)]
        changes = making.end(rounds.calls_made)
        if asked.stored and not asked.background:
            serving.responses.put(making)
        yield changes


async def _whole(serving: Serving, making: Making) -> dict[str, Any]:
    async with aclosing(_batches(serving, making)) as batches:
        async for _ in batches:
            pass
    return making.shown()


async def _events(serving: Serving, making: Making, wire: Wire) -> AsyncIterator[bytes]:
    async with aclosing(_batches(serving, making)) as batches:
        async for changes in batches:
            if changes is None:  # it may still be refused: nothing is told yet
                continue
            pieces = [wire.opening(), wire.pieces(changes)]
            if not making.running:
                pieces.append(wire.end())
            if found := b"".join(pieces):
                yield found


async def _begin(request: Request, serving: Serving, making: Making) -> dict[str, Any]:
    """Leave a response to a task of its own, once what would refuse it has had its say."""
    seconds = serving.settings.request_timeout
    begun = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_background(serving, making, begun, seconds))
    try:
        await while_here(request, begun, seconds)
    except BaseException:
        task.cancel()
        raise
    shown = making.shown()
    serving.responses.put(making, task)
    return shown


async def _background(
    serving: Serving, making: Making, begun: asyncio.Future[None], seconds: float
) -> None:
    wire: Wire | None = None
    try:
        async with asyncio.timeout(seconds), aclosing(_batches(serving, making)) as batches:
            async for changes in batches:
                if not begun.done():
                    if making.recording is not None:
                        making.status = "in_progress"
                        wire = Wire(making)
                    begun.set_result(None)
                if wire is not None and changes is not None:
                    wire.pieces(changes)
                    if not making.running:
                        wire.end()
    except asyncio.CancelledError:
        making.cancel()
        if wire is not None:
            wire.end()
    except Exception as error:  # noqa: BLE001 - whoever asks for it is told
        if isinstance(error, TimeoutError):
            error = ApiError(504, f"the answer was not complete within {seconds:g} s")
        if not begun.done():
            begun.set_exception(error)
            return
        log.warning("background response %s failed: %s", making.id, error)
        if wire is None:
            making.fail(error)
        else:
            wire.failed(error)
    finally:
        if making.recording is not None:
            making.recording.end()
