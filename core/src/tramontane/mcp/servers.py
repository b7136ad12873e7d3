"""All MCP servers of a configuration: their tools as functions that models may call."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import re
import threading
from collections.abc import Coroutine, Mapping, Set
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from tramontane.chat.toolbox import Function
from tramontane.errors import RequestError
from tramontane.plugin import McpClient, load
from tramontane.registry import Registry
from tramontane.tools import Prompt, Tool

from .config import McpConfig, no_server
from .connection import Connection
from .resource_tools import Ask, kept_tools

UNFIT = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 64


class McpServers:
    """Connections that a thread of their own keeps open. A context manager.

    A server that is down is a warning in the log, and is there when it comes back; one that is
    required is an error. Raises PluginNotInstalled for a transport that nothing offers.
    """

    def __init__(self, config: McpConfig, registry: Registry) -> None:
        connects = [load(registry.get(McpClient, c.transport).connect) for c in config.servers]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="tramontane-mcp", daemon=True
        )
        self._thread.start()
        self.connections: list[Connection] = self._wait(self._open(config, connects))
        atexit.register(self.close)
        down = [c for c in self.connections if c.config.required and c.session is None]
        if down:
            self.close()
            raise RequestError(
                f"the MCP server {down[0].config.server.name} is required, and is down: "
                f'{down[0].trouble}; with "required": false in its configuration the model '
                "answers without its tools"
            )

    def __enter__(self) -> McpServers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _open(self, config: McpConfig, connects: list[Any]) -> list[Connection]:
        made = [Connection(c, connect) for c, connect in zip(config.servers, connects, strict=True)]
        self._keeping = [asyncio.ensure_future(connection.keep()) for connection in made]
        await asyncio.gather(*(connection.tried.wait() for connection in made))
        return made

    def functions(self, taken: set[str] | None = None) -> list[Function]:
        """The tools of servers that are up, now. taken: names that are others' already."""
        offered = [(c, tool, ask) for c in self.connections for tool, ask in _tools(c)]
        names = [tool.name for connection, tool, _ in offered if connection.config.prefix is None]
        clashing = {name for name in names if names.count(name) > 1} | (taken or set())
        found: dict[str, Function] = {}
        for connection, tool, ask in offered:
            prefix = connection.config.prefix
            if prefix is None and tool.name in clashing:
                prefix = connection.config.server.name
            name = UNFIT.sub("_", f"{prefix}_{tool.name}" if prefix else tool.name)
            name = _free(name, found.keys() | (taken or set()))
            found[name] = self._function(connection, tool, name, ask)
        return list(found.values())

    def call(self, server: str, tool: str, arguments: dict[str, Any]) -> str:
        """Call a tool by the server's own name for it. Raises TramontaneError."""
        return str(self._wait(self._of(server).call(tool, arguments)))

    def resources(self, server: str) -> list[tuple[str, str]]:
        """(URI, what it is) of each resource of a server. Raises TramontaneError."""
        return list(self._wait(self._of(server).resources()))

    def read(self, server: str, uri: str) -> str:
        """A resource as text. Raises TramontaneError."""
        return str(self._wait(self._of(server).read(uri)))

    def prompts(self, server: str) -> list[Prompt]:
        """The prompts of a server. Raises TramontaneError."""
        return list(self._wait(self._of(server).prompts()))

    def prompt(
        self, server: str, name: str, arguments: Mapping[str, Any] | None = None
    ) -> list[dict[str, str]]:
        """A prompt's messages, for `chat` to go on from. Raises TramontaneError."""
        return list(self._wait(self._of(server).prompt(name, arguments or {})))

    def _of(self, server: str) -> Connection:
        for connection in self.connections:
            if connection.config.server.name == server:
                return connection
        raise no_server(server, [c.config.server.name for c in self.connections])

    def close(self) -> None:
        """Close all connections; programs that were started end. Safe to call twice."""
        if self._loop.is_closed() or not self._thread.is_alive():
            return
        atexit.unregister(self.close)
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        for connection in getattr(self, "connections", []):
            connection.close()
        _, slow = await asyncio.wait(self._keeping, timeout=10) if self._keeping else ((), ())
        for task in slow:
            task.cancel()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._begin(work).result()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _function(self, connection: Connection, tool: Tool, name: str, ask: Ask | None) -> Function:
        config = connection.config

        def run(**arguments: Any) -> Any:
            if ask is not None:
                return self._wait(ask(connection, arguments))
            return self._wait(connection.call(tool.name, arguments))

        seconds = (config.timeouts or {}).get(tool.name, config.server.timeout)
        described = replace(tool, name=name, strict=config.strict)
        return Function(described, run, timeout=seconds + 1)  # its own limit says more


def _free(name: str, taken: Set[str]) -> str:
    """The name, or as much of it as leaves room for what tells it from those that are taken."""
    for end in itertools.chain([""], (f"_{number}" for number in itertools.count(2))):
        found = name[: LONGEST_NAME - len(end)] + end
        if found not in taken:
            return found
    raise AssertionError


def _tools(connection: Connection) -> list[tuple[Tool, Ask | None]]:
    """Those that may be called of a server that is up, and how what it keeps is asked for."""
    config = connection.config
    if connection.session is None:
        return []
    tools: list[tuple[Tool, Ask | None]] = [
        (tool, None)
        for tool in connection.tools
        if (config.allow is None or tool.name in config.allow) and tool.name not in config.deny
    ]
    return [*tools, *kept_tools(connection)]
