"""A server that is a program: it reads from its standard input and ends when that closes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from mcp import StdioServerParameters, stdio_client
from tramontane.errors import TramontaneError
from tramontane.tools import McpServer

from .session import Session, session, trouble
from .stderr_log import Said

LAUNCHER = str(Path(__file__).with_name("launcher.py"))


@asynccontextmanager
async def connect(server: McpServer) -> AsyncIterator[Session]:
    """Start the program. Raises TramontaneError where it cannot be, or does not speak MCP."""
    _check(server)
    program, *arguments = _command(server)
    with Said(server.name) as said:
        try:
            parameters = StdioServerParameters(
                command=program,
                args=arguments,
                env=dict(server.environment),
                cwd=server.folder or None,
            )
            transport = stdio_client(parameters, errlog=said.file)
        except ValueError as error:
            raise trouble(server, error) from error
        try:
            async with session(server, transport) as opened:
                yield opened
        except TramontaneError as error:
            said.file.close()
            await anyio.to_thread.run_sync(said.wait)
            if said.last:
                raise TramontaneError(f"{error}; it said: {said.last}") from error
            raise


def _check(server: McpServer) -> None:
    """Errors that starting it would have, in words. Raises TramontaneError."""
    where = f"MCP server {server.name}"
    if server.folder and not Path(server.folder).is_dir():
        raise TramontaneError(f"{where}: there is no folder {server.folder!r}")
    program = (server.command or ("",))[0]
    if os.sep in program:
        found = os.access(Path(server.folder, program), os.X_OK)
    else:
        path = server.environment.get("PATH", os.environ.get("PATH"))
        found = shutil.which(program, path=path) is not None
    if not found and sys.platform != "win32":
        raise TramontaneError(f"{where}: there is no program {program!r}")


def _command(server: McpServer) -> tuple[str, ...]:
    """What to start, so that it cannot stay when this process is killed."""
    command = tuple(server.command) or ("",)
    if sys.platform != "linux" or not sys.executable:
        return command
    return (sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), *command)
