"""Each transport against a server of the official package."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import TramontaneError
from tramontane.plugin import McpClient, load
from tramontane.registry import Registry
from tramontane.tools import McpServer

from .conftest import Serve, program

PORTS = {"http": "streamable-http", "sse": "sse", "websocket": "websocket"}


def found(transport: str, serve: Serve) -> McpServer:
    return program() if transport == "stdio" else serve(PORTS[transport])


def ask(transport: str, server: McpServer, *calls: tuple[str, dict[str, Any]]) -> list[str]:
    """The tools' names, then what the calls give, errors too."""

    async def talk() -> list[str]:
        connect = load(Registry().get(McpClient, transport).connect)
        async with connect(server) as session:
            said = [" ".join(tool.name for tool in await session.tools())]
            for name, arguments in calls:
                try:
                    said.append(await session.call(name, arguments))
                except TramontaneError as error:
                    said.append(str(error))
            said.append(str(list(await session.resources())))
            said.append(await session.read("notes://today"))
            said.append(str([(p.name, dict(p.arguments)) for p in await session.prompts()]))
            said.append(str(list(await session.prompt("review", {"topic": "tea"}))))
            return said

    return asyncio.run(asyncio.wait_for(talk(), 60))


@pytest.mark.parametrize("transport", ["stdio", "http", "sse", "websocket"])
def test_tools_are_listed_and_called(transport: str, serve: Serve) -> None:
    server = found(transport, serve)
    said = ask(transport, server, ("add", {"a": 2, "b": 3}), ("fail", {}), ("add", {"a": "x"}))
    names, added, failed, wrong, kept, note, prompts, review = said
    assert names == "add fail hang whoami leave"
    assert added == "5"
    assert failed.startswith("MCP server adder: fail failed: ")
    assert wrong.startswith("MCP server adder: add failed: ")
    assert kept == "[('notes://today', 'what to do')]"
    assert note == "nothing"
    assert prompts == "[('greet', {}), ('review', {'topic': True, 'tone': False})]"
    assert review == (
        "[('user', 'Review tea, in a kind tone.'), ('assistant', 'What is it about?'), "
        "('user', '[image image/png, 4 characters]')]"
    )


def test_a_program_gets_its_environment_and_folder(tmp_path: Path) -> None:
    server = program(environment={"ADDER": "set"}, folder=str(tmp_path))
    (_, said, *_) = ask("stdio", server, ("whoami", {}))
    assert said.startswith(f"set in {tmp_path}, process ")


def test_what_does_not_speak_mcp_is_an_error_that_names_it() -> None:
    silent = McpServer(name="clock", command=("sleep", "60"), timeout=1.0)
    with pytest.raises(TramontaneError, match="MCP server clock: "):
        ask("stdio", silent)
