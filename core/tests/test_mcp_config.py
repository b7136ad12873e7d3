"""Which MCP servers a configuration names, in both forms."""

from __future__ import annotations

import json
import sys

import pytest
from tramontane.errors import RequestError
from tramontane.mcp import read_config


def test_desktop_clients_form(monkeypatch):
    monkeypatch.setenv("KEY", "secret")
    given = {
        "mcpServers": {
            "files": {
                "command": "files", "args": ["--root", "${HOMES:-/tmp}"], "env": {"KEY": "${KEY}"},
                "cwd": "/work", "alwaysAllow": ["read"], "timeouts": {"scan": 90}, "deny": ["rm"],
            },
            "web": {"url": "https://example.com/mcp", "headers": {"X-Key": "${KEY}"},
                    "bearer_token": "t", "prefix": "web", "concurrency": 2, "required": True},
            "old": {"type": "sse", "url": "https://example.com/sse", "timeout": 5},
            "socket": {"url": "wss://example.com"},
            "off": {"command": "x", "disabled": True},
        }
    }  # fmt: skip
    files, web, old, socket = read_config(given).servers
    assert [s.transport for s in (files, web, old, socket)] == ["stdio", "http", "sse", "websocket"]
    assert files.server.command == ("files", "--root", "/tmp")
    assert files.server.environment == {"KEY": "secret"}
    assert files.server.folder == "/work"
    assert (files.deny, files.timeouts, files.prefix) == (("rm",), {"scan": 90.0}, None)
    assert web.server.headers == {"X-Key": "secret", "Authorization": "Bearer t"}
    assert (web.prefix, web.concurrency, web.required) == ("web", 2, True)
    assert old.server.timeout == 5


def test_the_form_of_mistral_rs(tmp_path):
    given = {
        "servers": [
            {"id": "1", "name": "files", "tool_prefix": "fs", "resources": ["file://**"],
             "source": {"type": "Process", "command": "files", "args": ["/"], "work_dir": "/w",
                        "env": {"A": "b"}}},
            {"name": "web", "bearer_token": "t",
             "source": {"type": "Http", "url": "https://x/mcp", "timeout_secs": 7, "headers": {}}},
            {"name": "socket", "source": {"type": "WebSocket", "url": "ws://x"}},
            {"name": "off", "enabled": False, "source": {"type": "Http", "url": "https://y"}},
        ],
        "auto_register_tools": True,
        "tool_timeout_secs": 40,
        "max_concurrent_calls": 3,
    }  # fmt: skip
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps(given))
    files, web, socket = read_config(path).servers
    assert [s.transport for s in (files, web, socket)] == ["stdio", "http", "websocket"]
    assert (files.prefix, files.resources, files.concurrency) == ("fs", True, 3)
    assert files.server.folder == "/w"
    assert (files.server.timeout, web.server.timeout) == (40, 7)
    assert web.server.headers == {"Authorization": "Bearer t"}
    assert read_config({**given, "auto_register_tools": False}).servers == ()


def server(**fields):
    return {"mcpServers": {"x": fields}}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "has neither mcpServers nor servers"),
        ({"mcpServers": []}, "mcpServers should be an object"),
        ({"servers": {}}, "servers should be a list"),
        ({"servers": [{"source": {}}]}, "a server has no name"),
        (server(), "should have a command or a url"),
        (server(command="a", url="b"), "one of them"),
        (server(command="a", arg=["b"]), "server 'x' has 'arg', .* did you mean 'args'"),
        (server(command="a", args="b"), "args should be a list of texts, not 'b'"),
        (server(command=5), "command should be a text, not 5"),
        (server(command="a", env={"A": 1}), "env should be an object of texts"),
        (server(command="a", timeout=0), "timeout should be a number above 0, not 0"),
        (server(command="a", required="yes"), "required should be true or false"),
        (server(command="${NO_SUCH_VARIABLE}"), "the environment has no NO_SUCH_VARIABLE"),
        ({"servers": [{"name": "a", "source": {"type": "Http", "url": "u"}}] * 2}, "two servers"),
    ],
)
def test_what_is_wrong_is_named(given, told):
    with pytest.raises(RequestError, match=told):
        read_config(given)


def test_files_that_are_none(tmp_path):
    with pytest.raises(RequestError, match=r"cannot read .*missing.json"):
        read_config(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(RequestError, match=r"bad.json is not JSON"):
        read_config(tmp_path / "bad.json")


@pytest.mark.parametrize("command", ["python", "python3", "/usr/bin/python", "pythonic"])
def test_python_alone_is_the_one_that_runs_this(command: str) -> None:
    (server,) = read_config({"mcpServers": {"a": {"command": command, "args": ["a.py"]}}}).servers
    expected = sys.executable if command in ("python", "python3") else command
    assert server.server.command == (expected, "a.py")


@pytest.mark.parametrize(("given", "every"), [({}, True), ({"required": False}, False)])
def test_all_are_required_but_those_that_say_no(given: dict[str, bool], every: bool) -> None:
    config = read_config({"mcpServers": {"a": {"command": "x", **given}}})
    assert not config.servers[0].required
    assert config.all_required().servers[0].required is every
