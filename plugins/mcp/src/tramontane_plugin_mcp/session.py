"""A session over any transport of the `mcp` package."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from tramontane.errors import TramontaneError
from tramontane.tools import McpServer, Prompt, Tool

from .library_log import Strays, name_server

PAGES = 100


@asynccontextmanager
async def session(server: McpServer, transport: Any) -> AsyncIterator[Session]:
    """Open a session. Raises TramontaneError that names the server, for all that goes wrong."""
    try:
        name_server(server.name)
        async with Client(
            transport, read_timeout_seconds=server.timeout, message_handler=Strays(server.name)
        ) as client:
            yield Session(server, client)
    except Exception as error:
        raise trouble(server, error) from error


def trouble(server: McpServer, error: BaseException) -> TramontaneError:
    """What went wrong, in one line: of several that happened at once the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TramontaneError):
        return error
    said = " ".join(str(error).split()) or type(error).__name__
    place = " ".join(server.command) or server.url
    return TramontaneError(f"MCP server {server.name}: {said:.300} ({place:.100})")


class Session:
    """A `tramontane.tools.McpSession`, with resources and prompts."""

    def __init__(self, server: McpServer, client: Client) -> None:
        self._server, self._client = server, client

    async def tools(self) -> Sequence[Tool]:
        found: list[Tool] = []
        async for page in self._pages("list_tools"):
            found += [
                Tool(
                    name=tool.name,
                    description=tool.description or "",
                    parameters=tool.input_schema,
                )
                for tool in page.tools
            ]
        return found

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        result = await self._ask(self._client.call_tool(name, dict(arguments)))
        text = told(result)
        if result.is_error:
            why = text or "it gives no reason"
            raise TramontaneError(f"MCP server {self._server.name}: {name} failed: {why}")
        return text

    async def resources(self) -> Sequence[tuple[str, str]]:
        if not self._client.server_capabilities.resources:
            return []
        return [
            (str(found.uri), found.description or found.name)
            async for page in self._pages("list_resources")
            for found in page.resources
        ]

    async def read(self, uri: str) -> str:
        result = await self._ask(self._client.read_resource(uri))
        return "\n".join(map(contents, result.contents))

    async def prompts(self) -> Sequence[Prompt]:
        if not self._client.server_capabilities.prompts:
            return []
        return [
            Prompt(
                name=found.name,
                description=found.description or "",
                arguments={one.name: bool(one.required) for one in found.arguments or ()},
            )
            async for page in self._pages("list_prompts")
            for found in page.prompts
        ]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        result = await self._ask(self._client.get_prompt(name, dict(arguments)))
        return [(message.role, as_text(message.content)) for message in result.messages]

    async def _pages(self, method: str) -> AsyncIterator[Any]:
        cursor = None
        for _ in range(PAGES):
            page = await self._ask(getattr(self._client, method)(cursor=cursor))
            yield page
            cursor = page.next_cursor
            if not cursor:
                return

    async def _ask(self, work: Any) -> Any:
        try:
            return await work
        except Exception as error:
            raise trouble(self._server, error) from error


def told(result: CallToolResult) -> str:
    """A tool's result, as a model is told it: its parts, and its structured content as JSON where
    no part is a text. Servers should write that as text too, but not all do."""
    said = [part for part in map(as_text, result.content) if part]
    spoken = any(isinstance(part, TextContent) and part.text for part in result.content)
    if not spoken and result.structured_content is not None:
        said.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n".join(said)


def as_text(part: Any) -> str:
    """A part of a result, as a model is told it."""
    if isinstance(part, TextContent):
        return part.text
    if isinstance(part, EmbeddedResource):
        return contents(part.resource)
    if isinstance(part, ResourceLink):
        about = ", ".join(filter(None, (part.description, part.mime_type)))
        return f"[{part.title or part.name}: {part.uri}{about and f' ({about})'}]"
    size = len(getattr(part, "data", "") or "")
    return f"[{part.type} {getattr(part, 'mime_type', '') or ''}, {size} characters]"


def contents(part: TextResourceContents | BlobResourceContents) -> str:
    if isinstance(part, TextResourceContents):
        return part.text
    return f"[{part.mime_type or 'data'} at {part.uri}, {len(part.blob)} characters]"
