"""Tools of MCP servers that the server's owner registered run in the server, in rounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from .live_server import Live, serving

PICKER = Path(__file__).with_name("picker.py")
ASK = [{"role": "user", "content": "Pick one."}]
MINE = {
    "type": "function",
    "function": {"name": "mine", "strict": True,
                 "parameters": {"type": "object", "properties": {}, "additionalProperties": False}},
}  # fmt: skip


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("owned")
    config = folder / "mcp.json"
    picker = {"command": sys.executable, "args": [str(PICKER)], "strict": True}
    servers = {"picker": picker, "down": {"command": "/no/such/program"}}
    config.write_text(json.dumps({"mcpServers": servers}))
    template = Path(__file__).with_name("hermes.jinja")
    options = ["--mcp-config", str(config), "--chat-template", str(template)]
    with serving(folder, *options, "--max-tool-rounds", "1") as live:
        yield live
        live.idle()


@pytest.fixture
def client(owned: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{owned.url}/v1", api_key="x", max_retries=0) as found:
        yield found


def asked(seed: int) -> dict[str, Any]:
    """A request that calls, unless chance fills its tokens with blanks."""
    return {
        "model": "default", "messages": ASK, "tool_choice": "required", "max_tokens": 150,
        "parallel_tool_calls": False, "temperature": 1.5, "seed": seed,
    }  # fmt: skip


def test_a_call_runs_here_and_its_result_goes_to_the_model(client: openai.OpenAI) -> None:
    ran = 0
    for seed in range(16):  # its schema leaves room for more, which a model may fill for ever
        answer = client.chat.completions.create(**asked(seed))
        message = answer.choices[0].message
        assert message.tool_calls is None
        for call in getattr(message, "server_tool_calls", ()):
            ran += 1
            which = json.loads(call["arguments"])["which"]
            assert (call["name"], call["result"]) == ("pick", f"picked the {which}")
            assert answer.usage.prompt_tokens_details.cached_tokens > 0  # of the second round
    assert ran


@pytest.mark.parametrize("seed", range(4))
def test_streamed_it_is_the_same(client: openai.OpenAI, seed: int) -> None:
    whole = client.chat.completions.create(**asked(seed))
    chunks = list(client.chat.completions.create(**asked(seed), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == (whole.choices[0].message.content or "")
    assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason]
    assert reasons == [whole.choices[0].finish_reason]


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_own_tools_are_the_clients_to_run(client: openai.OpenAI, stream: bool) -> None:
    choice = {"type": "function", "function": {"name": "mine"}}
    mine = {"model": "default", "messages": ASK, "tools": [MINE], "tool_choice": choice}
    if stream:
        calls = [
            call
            for chunk in client.chat.completions.create(**mine, stream=True)
            for call in chunk.choices[0].delta.tool_calls or ()
            if call.id
        ]
    else:
        calls = client.chat.completions.create(**mine).choices[0].message.tool_calls
    assert {call.function.name for call in calls} == {"mine"}


def test_a_server_that_is_down_is_a_warning(owned: Live) -> None:
    assert "down" in owned.log.read_text()
