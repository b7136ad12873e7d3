"""HTTP with server-sent events, the form of older remote servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.client.sse import sse_client
from tramontane.tools import McpServer

from .session import Session, session


@asynccontextmanager
async def connect(server: McpServer) -> AsyncIterator[Session]:
    """Raises TramontaneError where the server cannot be reached."""
    transport = sse_client(server.url, headers=dict(server.headers), timeout=server.timeout)
    async with session(server, transport) as opened:
        yield opened
