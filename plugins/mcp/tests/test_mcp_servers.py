"""Servers of a configuration: up, down, back again, hanging, and with names that clash."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat.toolbox import Toolbox
from tramontane.cli.main import main
from tramontane.errors import PluginNotInstalled, RequestError, TramontaneError
from tramontane.mcp import McpServers, ServerConfig, read_config
from tramontane.mcp.connection import Connection
from tramontane.registry import Registry
from tramontane.tools import McpServer, Tool, ToolCall

from .conftest import ADDER

STUBBORN = Path(__file__).with_name("stubborn.py")


def adder(**more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(ADDER), "stdio"], "timeout": 20, **more}


def opened(**servers: Any) -> McpServers:
    return McpServers(read_config({"mcpServers": servers}), Registry())


def names(servers: McpServers, taken: set[str] | None = None) -> list[str]:
    return [function.tool.name for function in servers.functions(taken)]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.05)


def test_a_server_that_is_down_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        opened(adder=adder(), gone={"command": "/no/such/program"}) as servers,
    ):
        assert names(servers) == ["add", "fail", "hang", "whoami", "leave"]
        with pytest.raises(TramontaneError, match="gone is down"):
            servers.call("gone", "add", {})
        with pytest.raises(RequestError, match="no MCP server 'other'; there are: adder, gone"):
            servers.call("other", "add", {})
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "MCP server gone is down: there is no program '/no/such/program'"
    ]


def test_one_that_is_required_is_an_error() -> None:
    with pytest.raises(RequestError, match="gone is required, and is down: there is no pro"):
        opened(gone={"command": "/no/such/program", "required": True})


def test_a_transport_that_nothing_offers_is_named() -> None:
    with pytest.raises(PluginNotInstalled, match="carrier-pigeon"):
        opened(coop={"url": "coop://roof", "type": "carrier-pigeon"})


def test_one_that_was_lost_comes_back() -> None:
    with opened(adder=adder()) as servers:
        before = servers.call("adder", "whoami", {})
        with pytest.raises(TramontaneError, match="MCP server adder: "):
            servers.call("adder", "leave", {})
        wait_until(lambda: servers.connections[0].session is None)
        assert names(servers) == []
        wait_until(lambda: servers.connections[0].session is not None)
        assert servers.call("adder", "whoami", {}) != before


def test_a_tool_that_hangs_is_cut_off_and_the_server_stays() -> None:
    with opened(adder=adder(timeouts={"hang": 0.2})) as servers:
        with pytest.raises(TramontaneError, match=r"no response within 0\.2 s"):
            servers.call("adder", "hang", {})
        assert servers.call("adder", "add", {"a": 1, "b": 1}) == "2"


def test_programs_end_with_their_servers() -> None:
    with opened(adder=adder()) as servers:
        process = int(servers.call("adder", "whoami", {}).rpartition(" ")[2])
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    servers.close()  # a second time does nothing


KILLED = """
import os, signal, sys
from tramontane.mcp import McpServers, ServerConfig, read_config
from tramontane.mcp.connection import Connection
from tramontane.registry import Registry

adder = {"command": sys.executable, "args": [sys.argv[1], "stdio"]}
servers = McpServers(read_config({"mcpServers": {"adder": adder}}), Registry())
print(servers.call("adder", "whoami", {}).rpartition(" ")[2], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="it looks into /proc")
def test_programs_end_when_we_are_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(ADDER)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    state = Path(f"/proc/{int(done.stdout)}/stat")
    # gone, or waiting for whoever adopted it to notice
    wait_until(lambda: not state.exists() or state.read_text().rpartition(") ")[2][:1] == "Z")


def test_names_that_clash_have_their_servers_before_them() -> None:
    with opened(one=adder(allow=["add"]), two=adder(deny=["hang", "leave", "fail"])) as servers:
        assert names(servers) == ["one_add", "two_add", "whoami"]
        assert names(servers, {"whoami"}) == ["one_add", "two_add", "two_whoami"]


def test_names_that_clash_all_the_same_are_numbered() -> None:
    same = {"one": adder(prefix="a" * 70, allow=["add", "whoami"])}
    with opened(**same, two=adder(allow=["add"], prefix="x")) as servers:
        found = names(servers, {"x_add"})
        assert found == ["a" * 64, f"{'a' * 62}_2", "x_add_2"]
        (last,) = [one for one in servers.functions({"x_add"}) if one.tool.name == "x_add_2"]
        assert last.run(a=1, b=2) == "3"


def test_a_prefix_and_resources() -> None:
    with opened(one=adder(prefix="my box", allow=["add"], resources=True)) as servers:
        functions = {function.tool.name: function for function in servers.functions()}
        assert list(functions) == ["my_box_add", "my_box_list_resources", "my_box_read_resource"]
        assert functions["my_box_list_resources"].run() == "notes://today: what to do"
        assert functions["my_box_read_resource"].run(uri="notes://today") == "nothing"


def test_prompts_as_tools() -> None:
    with opened(one=adder(allow=[], prompts=True)) as servers:
        functions = {function.tool.name: function for function in servers.functions()}
        assert list(functions) == ["list_prompts", "get_prompt"]
        assert functions["list_prompts"].run() == (
            "greet(): Greet the user.\nreview(topic, tone): Review something."
        )
        said = functions["get_prompt"].run(name="greet")
        assert said == "user: Say hello."


def test_what_servers_keep_is_there_for_python() -> None:
    with opened(adder=adder(), gone={"command": "/no/such/program"}) as servers:
        assert servers.resources("adder") == [("notes://today", "what to do")]
        assert servers.read("adder", "notes://today") == "nothing"
        assert [prompt.name for prompt in servers.prompts("adder")] == ["greet", "review"]
        messages = servers.prompt("adder", "review", {"topic": "tea", "tone": "stern"})
        assert messages[0] == {"role": "user", "content": "Review tea, in a stern tone."}
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        with pytest.raises(TramontaneError, match="MCP server adder: "):
            servers.prompt("adder", "review")
        with pytest.raises(TramontaneError, match="MCP server adder: "):
            servers.prompt("adder", "nothing")
        assert (servers.prompts("gone"), servers.resources("gone")) == ([], [])
        with pytest.raises(TramontaneError, match="gone is down"):
            servers.prompt("gone", "greet")
        with pytest.raises(RequestError, match="no MCP server 'other'"):
            servers.prompts("other")


class Bare:
    """A transport's session without anything but tools."""

    async def tools(self) -> list[Tool]:
        return []

    async def call(self, name: str, arguments: object) -> str:
        return ""


def test_a_transport_without_prompts_says_so() -> None:
    connection = Connection(
        ServerConfig(server=McpServer(name="bare"), transport="bare"), lambda server: None
    )
    connection.session = Bare()
    assert asyncio.run(connection.prompts()) == ()
    with pytest.raises(TramontaneError, match="the transport bare has no prompt"):
        asyncio.run(connection.prompt("greet", {}))


def test_models_call_them_like_functions() -> None:
    with opened(adder=adder(timeouts={"hang": 0.2})) as servers:
        toolbox = Toolbox(servers.functions())
        calls = [
            ToolCall("add", '{"a": 20, "b": 22}'), ToolCall("fail", "{}"), ToolCall("hang", "{}")
        ]  # fmt: skip
        added, failed, hung = toolbox.run(calls)
    assert added == "42"
    assert failed.startswith("error: MCP server adder: fail failed: ")
    assert hung == "error: MCP server adder: no response within 0.2 s"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "servers.json"
    path.write_text(json.dumps({"mcpServers": {"adder": adder()}}))
    return path


def test_the_command_lists_checks_and_calls(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--mcp-config", str(config)]
    assert main(["mcp", "check", *said]) == 0
    assert capsys.readouterr().out == "adder: 5 tools over stdio\n"
    assert main(["mcp", "list", *said]) == 0
    listed = capsys.readouterr().out
    assert "  add(a, b): Add two numbers.\n" in listed
    assert "  resource notes://today: what to do\n" in listed
    assert "  prompt greet(): Greet the user.\n" in listed
    assert "  prompt review(topic, tone?): Review something.\n" in listed
    assert main(["mcp", "prompt", *said, "adder", "review", '{"topic": "tea"}']) == 0
    assert capsys.readouterr().out.startswith("user: Review tea, in a kind tone.\nassistant: ")
    assert main(["mcp", "call", *said, "adder", "add", '{"a": 1, "b": 2}']) == 0
    assert capsys.readouterr().out == "3\n"


def test_the_command_says_what_is_wrong(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--mcp-config", str(config)]
    assert main(["mcp", "call", *said, "adder", "add", "[1]"]) == 1
    assert "should be an object" in capsys.readouterr().err
    assert main(["mcp", "call", *said, "adder", "fail"]) == 1
    assert "fail failed" in capsys.readouterr().err
    config.write_text('{"mcpServers": {"gone": {"command": "/no/such"}}}')
    assert main(["mcp", "check", *said]) == 1
    assert capsys.readouterr().out.startswith("gone: down: ")


HOLDS = """
import sys, time
from tramontane.mcp import McpServers, read_config
from tramontane.registry import Registry
with McpServers(read_config(sys.argv[1]), Registry()) as servers:
    print("up" if servers.connections[0].session else servers.connections[0].trouble, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system kills children so")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_programs_die_with_us_however_we_do(tmp_path: Path, how: signal.Signals) -> None:
    config, pid = tmp_path / "mcp.json", tmp_path / "pid"
    stubborn = {"command": sys.executable, "args": [str(STUBBORN), str(pid)]}
    config.write_text(json.dumps({"mcpServers": {"stubborn": stubborn}}))
    command = [sys.executable, "-c", HOLDS, str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        child = int(pid.read_text())
        process.send_signal(how)
        process.wait(60)
    wait_until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether there is such a process; one that nobody has asked after counts as gone."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"command": "/no/such/program"}, "there is no program '/no/such/program'"),
        ({"command": "no-such-program"}, "there is no program 'no-such-program'"),
        ({"command": sys.executable, "cwd": "/no/such"}, "there is no folder '/no/such'"),
        (
            {"command": sys.executable, "args": ["-c", "import sys; sys.exit('no key\\n')"]},
            "it said: no key",
        ),
    ],
)
def test_why_a_program_cannot_be_a_server(given: dict[str, Any], told: str) -> None:
    with opened(wrong=given) as servers:
        assert told in servers.connections[0].trouble
        assert "\n" not in servers.connections[0].trouble


def test_a_program_finds_itself_in_its_folder(tmp_path: Path) -> None:
    script = tmp_path / "adder"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {ADDER} stdio\n")
    script.chmod(0o755)
    with opened(here={"command": "./adder", "cwd": str(tmp_path)}) as servers:
        assert servers.call("here", "add", {"a": 1, "b": 2}) == "3"


def test_the_command_asks_the_server_that_is_called_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mcp.json"
    gone = {"command": "/no/such/program", "required": True}
    config.write_text(json.dumps({"mcpServers": {"adder": adder(), "gone": gone}}))
    where = ("--mcp-config", str(config))
    assert main(["mcp", "call", *where, "adder", "add", '{"a": 1, "b": 2}']) == 0
    assert capfd.readouterr().out == "3\n"
    assert main(["mcp", "call", *where, "other", "add"]) == 1
    assert "there is no MCP server 'other'; there are: adder, gone" in capfd.readouterr().err
    assert main(["mcp", "check", *where]) == 1
    assert capfd.readouterr().err.count("/no/such/program") == 1
