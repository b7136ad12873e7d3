"""A web socket: a JSON-RPC message in each of its messages, in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from tramontane.tools import McpServer
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .session import Session, session


@asynccontextmanager
async def connect(server: McpServer) -> AsyncIterator[Session]:
    """Raises TramontaneError where the server cannot be reached."""
    async with session(server, _transport(server)) as opened:
        yield opened


@asynccontextmanager
async def _transport(server: McpServer) -> AsyncIterator[Any]:
    """The two streams that the `mcp` package talks through."""
    async with (
        open_socket(
            server.url,
            additional_headers=dict(server.headers),
            open_timeout=server.timeout,
            subprotocols=[Subprotocol("mcp")],
        ) as socket,
        anyio.create_task_group() as tasks,
    ):
        to_us, ours = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        theirs, to_them = anyio.create_memory_object_stream[SessionMessage](0)
        tasks.start_soon(_read, socket, to_us)
        tasks.start_soon(_write, socket, to_them)
        try:
            yield ours, theirs
        finally:
            tasks.cancel_scope.cancel()


async def _read(socket: ClientConnection, to_us: Any) -> None:
    async with to_us:
        try:
            async for data in socket:
                try:
                    message = jsonrpc_message_adapter.validate_json(data, by_name=False)
                    await to_us.send(SessionMessage(message))
                except ValueError as error:
                    await to_us.send(error)
        except (ConnectionClosed, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the end of the stream tells the session


async def _write(socket: ClientConnection, to_them: Any) -> None:
    async with to_them:
        async for item in to_them:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await socket.send(text)
            except ConnectionClosed:
                return
