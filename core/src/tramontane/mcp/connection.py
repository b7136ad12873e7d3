"""One MCP server's connection, opened again when it is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from tramontane.errors import TramontaneError
from tramontane.tools import (
    ConnectMcp,
    McpPrompts,
    McpResources,
    McpSession,
    Prompt,
    Tool,
)

from .config import ServerConfig

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts to reach a server that is down; each pause is twice the last."""


class Connection:
    """Everything of it runs in one event loop. `tools` is what the server last had."""

    def __init__(self, config: ServerConfig, connect: ConnectMcp) -> None:
        self.config, self._connect = config, connect
        self.tools: Sequence[Tool] = ()
        self.session: McpSession | None = None
        self.trouble = "it is not connected yet"
        self.tried = asyncio.Event()
        """Set when the first attempt is over."""
        self._lost = asyncio.Event()
        self._closing = asyncio.Event()
        self._slots = asyncio.Semaphore(config.concurrency)

    async def keep(self) -> None:
        """Be connected, until `close`."""
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            try:
                await self._once()
                pause = FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - a transport's own, too: it is down
                self._is_down(error)
            self.tried.set()
            await _either(self._closing, timeout=pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self) -> None:
        server = self.config.server
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(server.timeout):
                session = await stack.enter_async_context(self._connect(server))
                self.tools = await session.tools()
            self._lost.clear()
            self.session, self.trouble = session, ""
            log.info("MCP server %s: %d tools", server.name, len(self.tools))
            self.tried.set()
            try:
                await _either(self._lost, self._closing)
            finally:
                self.session = None
                self.trouble = "the connection was lost"

    def _is_down(self, error: Exception) -> None:
        name = self.config.server.name
        if isinstance(error, TimeoutError):
            said = f"no response within {self.config.server.timeout:g} s"
        else:
            said = str(error).removeprefix(f"MCP server {name}: ") or type(error).__name__
        told = self.config.required and not self.tried.is_set()  # as an error of whoever wants it
        if said != self.trouble and not told:
            log.warning("MCP server %s is down: %s", name, said)
        self.trouble = said

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """A tool's answer. Raises TramontaneError."""
        times = self.config.timeouts or {}
        return str(await self._ask("call", times.get(name), name, arguments))

    async def resources(self) -> Sequence[tuple[str, str]]:
        """(URI, what it is) of each of the server's resources; none where it is down."""
        session: object = self.session
        if not isinstance(session, McpResources):
            return ()
        return tuple(await self._ask("resources", None))

    async def read(self, uri: str) -> str:
        """A resource as text. Raises TramontaneError."""
        return str(await self._ask("read", None, uri))

    async def prompts(self) -> Sequence[Prompt]:
        """The server's prompts; none where it is down."""
        session: object = self.session
        if not isinstance(session, McpPrompts):
            return ()
        return tuple(await self._ask("prompts", None))

    async def prompt(self, name: str, arguments: Mapping[str, Any]) -> Sequence[dict[str, str]]:
        """A prompt's messages, as a chat takes them. Raises TramontaneError."""
        texts = {key: value if isinstance(value, str) else json.dumps(value)
                 for key, value in arguments.items()}  # fmt: skip
        found = await self._ask("prompt", None, name, texts)
        return [{"role": role, "content": text} for role, text in found]

    async def _ask(self, method: str, timeout: float | None, *arguments: Any) -> Any:
        session, server = self.session, self.config.server
        if session is None:
            raise TramontaneError(f"MCP server {server.name} is down: {self.trouble}")
        if not hasattr(session, method):
            raise TramontaneError(
                f"MCP server {server.name}: the transport {self.config.transport} has no {method}"
            )
        limit = server.timeout if timeout is None else timeout
        try:
            async with self._slots, asyncio.timeout(limit):
                return await getattr(session, method)(*arguments)
        except TimeoutError:
            raise TramontaneError(
                f"MCP server {server.name}: no response within {limit:g} s"
            ) from None
        except TramontaneError:
            await self._look(session)
            raise
        except Exception as error:
            await self._look(session)
            raise TramontaneError(f"MCP server {server.name}: {error}") from error

    async def _look(self, session: McpSession) -> None:
        """After an error: whether it was the connection's."""
        try:
            async with asyncio.timeout(self.config.server.timeout):
                self.tools = await session.tools()
        except Exception:  # noqa: BLE001 - whatever a transport raises when it is gone
            self._lost.set()

    def close(self) -> None:
        self._closing.set()


async def _either(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Wait until one of the events is set, or the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
