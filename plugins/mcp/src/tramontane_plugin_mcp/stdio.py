"""A server that is a program: it reads from its standard input and ends when that closes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp import StdioServerParameters, stdio_client
from tramontane.tools import McpServer

from .session import Session, session, trouble


@asynccontextmanager
async def connect(server: McpServer) -> AsyncIterator[Session]:
    """Start the program. Raises TramontaneError where it cannot be, or does not speak MCP."""
    program, *arguments = server.command or ("",)
    try:
        parameters = StdioServerParameters(
            command=program,
            args=arguments,
            env=dict(server.environment),
            cwd=server.folder or None,
        )
        transport = stdio_client(parameters)
    except ValueError as error:
        raise trouble(server, error) from error
    async with session(server, transport) as opened:
        yield opened
