"""What a model is told of a tool's result, and what is logged of servers that say other things."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tramontane.cli.main import main
from tramontane.errors import TramontaneError
from tramontane.mcp import McpServers, read_config
from tramontane.registry import Registry
from tramontane_plugin_mcp.library_log import name_server

RAW = Path(__file__).with_name("raw.py")
LINES = ("Starting server...", "", "[info] {}", "ready")


def config(*lines: str) -> dict[str, object]:
    return {"mcpServers": {"raw": {"command": sys.executable, "args": [str(RAW), *lines]}}}


@pytest.fixture(scope="module")
def raw() -> Iterator[McpServers]:
    with McpServers(read_config(config()), Registry()) as servers:
        yield servers


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("structured", '{"t": 21.5, "wo": "Zürich"}'),
        ("both", "21.5 degrees"),
        ("empty", '{"t": 1}'),
        ("picture", '[image image/png, 4 characters]\n{"t": 1}'),
        ("link", "[notes: file:///notes.txt]"),
        ("links", "[My notes: file:///notes.txt (of today, text/plain)]"),
        ("nothing", ""),
    ],
)
def test_a_result_is_told(raw: McpServers, tool: str, told: str) -> None:
    assert raw.call("raw", tool, {}) == told


@pytest.mark.parametrize(
    ("tool", "why"), [("refused", '{"code": 7}'), ("failed", "it gives no reason")]
)
def test_an_error_says_why(raw: McpServers, tool: str, why: str) -> None:
    with pytest.raises(TramontaneError) as error:
        raw.call("raw", tool, {})
    assert str(error.value) == f"MCP server raw: {tool} failed: {why}"


def test_lines_that_are_no_messages_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        McpServers(read_config(config(*LINES)), Registry()) as servers,
    ):
        assert servers.call("raw", "both", {}) == "21.5 degrees"
    assert [record.getMessage() for record in caplog.records] == [
        "MCP server raw: 'Starting server...' is no message of the protocol; a server that speaks "
        "over its standard output should log to standard error"
    ]
    assert all(record.exc_info is None for record in caplog.records)


def test_the_command_shows_no_tracebacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "servers.json"
    path.write_text(json.dumps(config(*LINES)))
    assert main(["mcp", "call", "--mcp-config", str(path), "raw", "both"]) == 0
    out, err = capsys.readouterr()
    assert out == "21.5 degrees\n"
    assert len(err.splitlines()) == 1
    assert err.startswith("MCP server raw: 'Starting server...' is no message")


def test_what_else_the_package_logs_names_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def log() -> None:
        logger = logging.getLogger("mcp.client.stdio")
        try:
            raise ConnectionError("gone\nfor good")
        except ConnectionError:
            logger.exception("Reading failed")

    def named() -> None:
        name_server("raw")
        log()

    contextvars.copy_context().run(named)
    log()
    ours, theirs = caplog.records
    assert ours.getMessage() == "MCP server raw: Reading failed: gone for good"
    assert ours.exc_info is None
    assert theirs.getMessage() == "Reading failed"
    assert theirs.exc_info is not None
