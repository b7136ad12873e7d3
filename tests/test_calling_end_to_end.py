"""A model that really calls: functions and a server on stdio, from Python and the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.answers import Answer

from .calling import ANSWER, ARGUMENTS, QUESTION, write_calling_model

ADDER = Path(__file__).parents[1] / "plugins/mcp/tests/adder.py"
GREEDY = SamplingParams(temperature=0, max_tokens=150)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    write_calling_model(folder)
    return folder


@pytest.fixture(scope="module")
def servers():
    pytest.importorskip("mcp")
    adder = {"command": sys.executable, "args": [str(ADDER), "stdio"], "allow": ["add"]}
    return {"mcpServers": {"adder": adder}}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def check(answer):
    assert answer.content == ANSWER
    assert answer.finish_reason == "stop"
    called, told = answer.added
    assert called["tool_calls"][0]["function"] == {"name": "add", "arguments": ARGUMENTS}
    assert (told["role"], told["content"]) == ("tool", "5")


def test_a_python_function_answers(model):
    with LLM(model, device="reference") as llm:
        check(llm.chat(QUESTION, GREEDY, tools=[add]))


def test_a_stream_has_the_call(model):
    with LLM(model, device="reference") as llm:
        chunks = llm.chat(QUESTION, GREEDY, tools=[add], stream=True)
        answer = Answer.of(delta for chunk in chunks for delta in chunk.deltas)
    assert [(call.name, call.arguments) for call in answer.calls] == [("add", ARGUMENTS)]
    assert answer.content == ""


def test_many_conversations_at_once(model):
    async def ask():
        async with AsyncLLM(model, device="reference", kv_tokens=4096) as llm:
            return await asyncio.gather(
                *(llm.chat(QUESTION, GREEDY, tools=[add]) for _ in range(6))
            )

    for answer in asyncio.run(ask()):
        check(answer)


def test_a_server_on_stdio_answers(model, servers):
    with LLM(model, device="reference", mcp=servers) as llm:
        check(llm.chat(QUESTION, GREEDY))


def test_the_command_reaches_a_server(model, servers, run, tmp_path):
    path = tmp_path / "servers.json"
    path.write_text(json.dumps(servers))
    options = ("-m", model, "--device", "reference", "--temperature", "0", "-n", "150", "--quiet")
    status, out, err = run("run", *options, "--mcp-config", path, "-i", QUESTION)
    assert status == 0
    assert out == f"{ANSWER}\n"
    assert f"[add({ARGUMENTS})]" in err


def test_the_command_says_what_is_wrong_with_its_servers(model, run, tmp_path):
    path = tmp_path / "servers.json"
    path.write_text('{"mcpServers": {"gone": {"command": "/no/such", "required": true}}}')
    options = ("-m", model, "--device", "reference", "-i", QUESTION, "--mcp-config", path)
    status, _, err = run("run", *options)
    assert status == 1
    assert "the MCP server gone is required, and is down" in err
    status, _, err = run("run", *options, "--no-template")
    assert status == 2
    assert "--mcp-config needs a chat" in err
