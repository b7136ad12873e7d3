"""Streamable HTTP, the form of today's remote servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from tramontane.tools import McpServer

from .session import Session, session


@asynccontextmanager
async def connect(server: McpServer) -> AsyncIterator[Session]:
    """Raises TramontaneError where the server cannot be reached."""
    async with create_mcp_http_client(headers=dict(server.headers)) as client:
        transport = streamable_http_client(server.url, http_client=client)
        async with session(server, transport) as opened:
            yield opened
