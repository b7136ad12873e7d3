"""The server as an MCP server, asked by our own MCP client over streamable HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from tramontane.errors import TramontaneError
from tramontane.mcp import McpServers, read_config
from tramontane.registry import Registry

from .live_server import Live, serving

KEY = "open-sesame"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    limits = ["--max-new-tokens", "12"]
    with serving(tmp_path_factory.mktemp("mcp"), "--mcp", "--api-key", KEY, *limits) as live:
        yield live


def servers(live: Live, key: str) -> McpServers:
    told = {"url": f"{live.url}/mcp", "type": "http", "bearer_token": key}
    return McpServers(read_config({"mcpServers": {"me": told}}), Registry())


def test_its_tools_answer(served: Live) -> None:
    with servers(served, KEY) as mine:
        (connection,) = mine.connections
        assert {tool.name for tool in connection.tools} == {"chat", "complete", "list_models"}
        story = mine.call("me", "chat", {"message": "Tell me a story"})
        assert story == mine.call("me", "chat", {"message": "Tell me a story", "max_tokens": 12})
        assert story.startswith("Once upon a time")
        assert mine.call("me", "complete", {"prompt": "Once upon", "max_tokens": 2}) == " a time"
        assert "default" in mine.call("me", "list_models", {})
    body = {"messages": "Tell me a story", "max_tokens": 12}
    header = {"authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=body, headers=header).json()
    assert answer["choices"][0]["message"]["content"] == story


def test_what_cannot_be_is_told(served: Live) -> None:
    with servers(served, KEY) as mine, pytest.raises(TramontaneError, match="there are: default"):
        mine.call("me", "chat", {"message": "Hi", "model": "no such model"})
    with servers(served, KEY) as mine, pytest.raises(TramontaneError, match="gives at most 12"):
        mine.call("me", "complete", {"prompt": "Hi", "max_tokens": 13})


def test_it_asks_for_the_key(served: Live) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = httpx.post(f"{served.url}/mcp", content=json.dumps(hello))
    assert answer.status_code == 401


def test_without_the_option_there_is_none(live: Live) -> None:
    assert httpx.post(f"{live.url}/mcp", json={}).status_code == 404
