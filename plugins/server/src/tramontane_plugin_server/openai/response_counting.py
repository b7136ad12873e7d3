"""POST /v1/responses/input_tokens, and the refusal of /v1/responses/compact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from tramontane_plugin_server.app_state import serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.ignored import Route

from .fields import RequestBody
from .response_items import Input
from .response_prompt import begin_rounds
from .response_request import Reasoning, ResponseRequest, Text
from .response_state import ResponseState
from .response_tools import AnyTool, ToolChoice
from .shapes import ERRORS, Shape
from .tool_fields import MAX_TOOLS

router = APIRouter(route_class=Route)


class CountRequest(RequestBody):
    """A conversation whose tokens to count."""

    refused: ClassVar[Mapping[str, str]] = {
        "conversation": ResponseRequest.refused["conversation"],
        "personality": "describe the personality in the instructions",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {"personality": ("default",)}

    input: Input | None = Field(
        None,
        max_length=10_000,
        description="a list of messages, or a string: the message of a user",
    )
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    instructions: str | None = Field(None, description="the system prompt, for this answer only")
    previous_response_id: str | None = Field(
        None, min_length=1, max_length=128, description="the id of a stored response to continue"
    )
    text: Text | None = Field(
        None, description="format: enforced; verbosity: passed to the chat template"
    )
    tools: list[AnyTool] | None = Field(None, max_length=MAX_TOOLS, description="functions")
    tool_choice: ToolChoice | None = Field(None, description="default: auto if there are tools")
    parallel_tool_calls: bool | None = Field(
        None, description="several calls in one answer; default: true"
    )
    reasoning: Reasoning | None = Field(None, description="effort: passed to the chat template")
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: count the tokens that remain after the oldest turns were dropped"
    )

    def response(self) -> ResponseRequest:
        """The request whose prompt this is."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return ResponseRequest.model_validate({**given, "input": self.input or []})


class Counted(Shape):
    object: Literal["response.input_tokens"]
    input_tokens: int


class CompactRequest(RequestBody):
    """What OpenAI's clients send."""

    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    input: Any = None
    instructions: str | None = None
    previous_response_id: str | None = None


@router.post("/v1/responses/input_tokens", response_model=Counted, responses=ERRORS)
async def input_tokens(request: Request, body: CountRequest) -> dict[str, Any]:
    """How many tokens a response's prompt would have."""
    serving = serving_of(request)
    previous = body.previous_response_id
    before = None if previous is None else serving.responses.finished(previous)
    state = ResponseState(body.response(), "", 0, before)
    tokens = 0
    if state.items:
        async with serving.catalog.lease(body.model) as (_, model):
            going = await serving.in_thread(begin_rounds, serving, model, state.body, state.items)
        tokens = len(going.requests[0].prompt)
    return {"object": "response.input_tokens", "input_tokens": tokens}


@router.post("/v1/responses/compact", responses=ERRORS)
async def compact(request: Request, body: CompactRequest) -> dict[str, Any]:
    """Refused: nothing here makes conversations shorter but `truncation`, which drops their
    start."""
    serving_of(request).catalog.find(body.model)
    raise ApiError(
        400, "this server does not compact conversations; truncation=auto drops the"
        " oldest turns of one that exceeds the context", code="compaction_not_supported",
    )  # fmt: skip
