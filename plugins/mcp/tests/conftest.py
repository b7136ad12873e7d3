"""Servers made with the official package, as programs and on ports of this machine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tramontane.tools import McpServer

ADDER = Path(__file__).parent / "adder.py"
Serve = Callable[[str], McpServer]
PATHS = {"streamable-http": "mcp", "sse": "sse", "websocket": ""}


def program(**more: object) -> McpServer:
    """The server as a program."""
    command = (sys.executable, str(ADDER), "stdio")
    return McpServer(**{"name": "adder", "command": command, "timeout": 20.0, **more})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """(transport) -> where a server of it listens."""
    with contextlib.ExitStack() as stack:

        def start(transport: str) -> McpServer:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(ADDER), transport, str(port)],
                    stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            _await_port(port)
            scheme = "ws" if transport == "websocket" else "http"
            url = f"{scheme}://127.0.0.1:{port}/{PATHS[transport]}"
            return McpServer(name="adder", url=url, timeout=20.0)

        yield start


def _await_port(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail(f"nothing listens on port {port}")
