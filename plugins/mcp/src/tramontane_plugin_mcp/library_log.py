"""What the `mcp` package logs of a server: one line that names the server, and no traceback."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from tramontane.sanitize import one_line

log = logging.getLogger(__name__)
LOGGERS = ("client", "mcp.client.client", "mcp.client.sse", "mcp.client.stdio",
           "mcp.client.streamable_http")  # fmt: skip
NO_MESSAGE = "Failed to parse JSONRPC message from server"
"""What it logs of a line that is none; `Strays` says so instead."""
_server: ContextVar[str] = ContextVar("server", default="")


class _OneLine(logging.Filter):
    """Changes records of connections of ours; of what else a process does with the package none."""

    def filter(self, record: logging.LogRecord) -> bool:
        name = _server.get()
        if not name or record.levelno < logging.WARNING:
            return True
        if record.msg == NO_MESSAGE:
            return False
        error = record.exc_info[1] if record.exc_info else None
        why = "" if error is None else f": {one_line(str(error)) or type(error).__name__}"
        record.msg = f"MCP server {name}: {one_line(record.getMessage())}{why}"
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


_filter = _OneLine()


def name_server(name: str) -> None:
    """From here on, in this task and those that it starts, the package's lines are of a server."""
    for logger in LOGGERS:
        logging.getLogger(logger).addFilter(_filter)
    _server.set(name)


class Strays:
    """What comes of a server and is no message: the first of it is a warning, as one says all."""

    def __init__(self, name: str) -> None:
        self._name, self._warned = name, False

    async def __call__(self, message: object) -> None:
        """A message handler of the package's, which is given errors too."""
        if not isinstance(message, Exception):
            return
        level = logging.DEBUG if self._warned else logging.WARNING
        self._warned = True
        log.log(
            level,
            "MCP server %s: %s is no message of the protocol; a server that speaks over its "
            "standard output should log to standard error",
            self._name,
            one_line(repr(_line(message))),
        )


def _line(error: Exception) -> object:
    """What could not be read, where the error has it."""
    errors = getattr(error, "errors", None)
    found = errors() if callable(errors) else ()
    return found[0].get("input", str(error)) if found else str(error)
