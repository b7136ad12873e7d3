"""What clients may do about tools of the server's: list them, and answer for their calls."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field
from tramontane.agent import inside
from tramontane.agent.approvals import Decision
from tramontane.errors import RequestError

from .app_state import serving_of
from .http.access import owner
from .http.errors import ApiError
from .ignored import Queried, Route
from .openai.fields import RequestBody
from .openai.shapes import ERRORS, Shape

router = APIRouter(route_class=Route)
MOST_LISTED = 1000
MOST_BYTES = 64 << 20


class Approval(RequestBody):
    """What a person says of a call that waits."""

    allow: bool = Field(description="whether the call may run")
    remember: bool = Field(
        False, description="with allow: later calls of the tool in the session run too"
    )
    reason: str = Field("", max_length=1000, description="passed to the model with a refusal")


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


class FilesQuery(Queried):
    """Whose files."""

    session_id: str = Field(min_length=1, max_length=128, description="as in requests for chats")


class AgentFile(Shape):
    name: str
    bytes: int


class AgentFiles(Shape):
    files: list[AgentFile]


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


@router.get("/v1/agent/files", response_model=AgentFiles, responses=ERRORS)
async def files(request: Request, asked: Annotated[FilesQuery, Query()]) -> dict[str, Any]:
    """The files of a session's tools."""
    found = await asyncio.to_thread(inside.listed, _folder(request, asked.session_id), MOST_LISTED)
    return {"files": [{"name": name, "bytes": about.st_size} for name, about in found]}


@router.get("/v1/agent/files/{name:path}", response_class=Response, responses=ERRORS)
async def file(request: Request, name: str, asked: Annotated[FilesQuery, Query()]) -> Response:
    """A file of a session's tools, to be saved: nothing of it is shown as a page."""
    folder = _folder(request, asked.session_id)
    try:
        data = await asyncio.to_thread(inside.read, folder, name, MOST_BYTES)
    except RequestError as error:
        raise ApiError(404, str(error), param="name", code="file_not_found") from error
    last = re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])
    headers = {
        "content-disposition": f'attachment; filename="{last}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


def _folder(request: Request, session: str) -> Path:
    """Where a session's files are, the session being of the request's key. Raises ApiError."""
    acting = serving_of(request).acting
    folder = None if acting is None else acting.toolsets.folder_of(f"{owner()}/{session}")
    if folder is None or not folder.is_dir():
        raise ApiError(
            404, "this session has no files here", param="session_id", code="session_not_found"
        )
    return folder


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
