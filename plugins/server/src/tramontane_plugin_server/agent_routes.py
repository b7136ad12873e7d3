"""What clients may do about tools of the server's: list them, and answer for their calls."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from tramontane.agent.approvals import Decision

from .app_state import serving_of
from .http.errors import ApiError
from .ignored import Route
from .openai.fields import RequestBody
from .openai.shapes import ERRORS, Shape

router = APIRouter(route_class=Route)


class Approval(RequestBody):
    """What a person says of a call that waits."""

    allow: bool = Field(description="whether the call may run")
    remember: bool = Field(
        False, description="with allow: later calls of the tool in the session run too"
    )
    reason: str = Field("", max_length=1000, description="told to the model with a refusal")


class Approved(Shape):
    id: str
    allow: bool


class AgentTool(Shape):
    """A tool that the server's owner turned on. approval: what becomes of its calls."""

    toolset: str
    name: str
    description: str
    risk: Literal["read", "network", "write", "execute"]
    approval: Literal["auto", "ask", "deny"]


class AgentTools(Shape):
    tools: list[AgentTool]


@router.post("/v1/agent/approvals/{call_id}", response_model=Approved, responses=ERRORS)
async def approve(request: Request, call_id: str, body: Approval) -> dict[str, Any]:
    """Allow or refuse a call of a tool, whose id came in the stream of its answer."""
    acting = serving_of(request).acting
    decision = Decision(body.allow, body.remember, body.reason)
    if acting is None or not acting.answer(call_id, decision):
        raise ApiError(
            404, "no call of this id waits: it was answered, its time is over, or its stream ended",
            param="call_id", code="call_not_found",
        )  # fmt: skip
    return {"id": call_id, "allow": body.allow}


@router.get("/v1/agent/tools", response_model=AgentTools, responses=ERRORS)
async def tools(request: Request) -> dict[str, Any]:
    """The tools that the server's owner turned on."""
    acting = serving_of(request).acting
    if acting is None or not acting.names:
        return {"tools": []}
    acts = await asyncio.to_thread(acting.begin, None, (), asks=False)
    listed = [
        {
            "toolset": acts.toolset_of[one.tool.name],
            "name": one.tool.name,
            "description": one.tool.description,
            "risk": one.risk,
            "approval": acting.policy.mode(one.risk),
        }
        for one in acts.functions
    ]
    acts.close()
    return {"tools": listed}
