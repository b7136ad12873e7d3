"""What every MCP transport must do when there is no server: say so, in time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from tramontane.errors import TramontaneError
from tramontane.plugin import McpClient, load
from tramontane.tools import McpServer

PATIENCE = 10.0
"""Seconds, five times what the server's own timeout allows."""
NOWHERE = McpServer(
    name="nowhere",
    command=("/no/such/program-of-tramontane",),
    url="http://127.0.0.1:9/mcp",  # the discard port: nothing listens
    timeout=2.0,
)


def test_connect_gives_an_async_context_manager(offer: McpClient) -> None:
    connection = load(offer.connect)(NOWHERE)
    assert isinstance(connection, AbstractAsyncContextManager), (
        f"connect= returned {type(connection).__name__}; decorate an async generator with "
        "contextlib.asynccontextmanager, or return a class with __aenter__ and __aexit__"
    )


def test_a_server_that_is_not_there_is_an_error_in_time(offer: McpClient) -> None:
    async def enter() -> None:
        async with load(offer.connect)(NOWHERE) as session:
            await session.tools()

    async def bounded() -> None:
        await asyncio.wait_for(enter(), PATIENCE)

    try:
        with pytest.raises(TramontaneError) as caught:
            asyncio.run(bounded())
    except TimeoutError:
        pytest.fail(f"still waiting after {PATIENCE} s, with a timeout of {NOWHERE.timeout} s")
    assert "nowhere" in str(caught.value), f"{caught.value} does not name the server"
