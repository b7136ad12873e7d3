"""`tramontane mcp serve` as a program that another starts, over its input and output."""

from __future__ import annotations

import sys

import pytest
from tramontane.errors import TramontaneError
from tramontane.mcp import McpServers, read_config
from tramontane.registry import Registry


def test_a_model_is_a_server() -> None:
    command = {"command": sys.executable, "args": ["-m", "tramontane", "mcp", "serve"]}
    config = read_config({"mcpServers": {"me": {**command, "timeout": 60, "required": True}}})
    with McpServers(config, Registry()) as servers:
        asked = {"message": "Tell me a story", "max_tokens": 12}
        assert servers.call("me", "chat", asked).startswith("Once upon a time")
        assert servers.call("me", "complete", {"prompt": "Once upon", "max_tokens": 2}) == " a time"
        with pytest.raises(TramontaneError, match="max_tokens=-1"):
            servers.call("me", "chat", {**asked, "max_tokens": -1})
        assert "default" in servers.call("me", "list_models", {})
