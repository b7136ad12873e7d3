"""What servers keep beside tools, resources and prompts, as tools that a model may call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from tramontane.tools import McpPrompts, McpResources, Tool

from .connection import Connection

Ask: TypeAlias = Callable[[Connection, dict[str, Any]], Coroutine[Any, Any, str]]


async def _list_resources(connection: Connection, arguments: dict[str, Any]) -> str:
    lines = [f"{uri}: {about}" if about else uri for uri, about in await connection.resources()]
    return "\n".join(lines) or "there are none"


async def _read_resource(connection: Connection, arguments: dict[str, Any]) -> str:
    return await connection.read(str(arguments.get("uri", "")))


async def _list_prompts(connection: Connection, arguments: dict[str, Any]) -> str:
    lines = [
        f"{prompt.name}({', '.join(prompt.arguments)}): {prompt.description}".rstrip(": ")
        for prompt in await connection.prompts()
    ]
    return "\n".join(lines) or "there are none"


async def _get_prompt(connection: Connection, arguments: dict[str, Any]) -> str:
    given = arguments.get("arguments") or {}
    messages = await connection.prompt(str(arguments.get("name", "")), dict(given))
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


RESOURCES = (
    (
        Tool(
            name="list_resources",
            description="The URIs of the resources that can be read.",
            parameters={"type": "object", "properties": {}},
        ),
        _list_resources,
    ),
    (
        Tool(
            name="read_resource",
            description="Read a resource.",
            parameters={
                "type": "object",
                "properties": {"uri": {"type": "string"}},
                "required": ["uri"],
            },
        ),
        _read_resource,
    ),
)
PROMPTS = (
    (
        Tool(
            name="list_prompts",
            description="The prompts that there are, with their arguments.",
            parameters={"type": "object", "properties": {}},
        ),
        _list_prompts,
    ),
    (
        Tool(
            name="get_prompt",
            description="A prompt's messages.",
            parameters={
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
                },
                "required": ["name"],
            },
        ),
        _get_prompt,
    ),
)


def kept_tools(connection: Connection) -> Sequence[tuple[Tool, Ask]]:
    """Those that the configuration wants and the server has, with what each asks of it."""
    found: list[tuple[Tool, Ask]] = []
    session: object = connection.session
    if connection.config.resources and isinstance(session, McpResources):
        found += RESOURCES
    if connection.config.prompts and isinstance(session, McpPrompts):
        found += PROMPTS
    return found
