"""The embedded model calls tools over the official clients, whole and streamed.

The cities and numbers here are in no document that it was trained on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from .live_server import Live, serving

ADDER = Path(__file__).parents[2] / "mcp/tests/adder.py"
CITY = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    "additionalProperties": False,
}  # fmt: skip
WEATHER = {"name": "get_weather", "description": "The weather in a city."}
PICK = {
    "type": "object", "required": ["unit"], "additionalProperties": False,
    "properties": {"unit": {"enum": ["celsius", "fahrenheit"]}},
}  # fmt: skip
QUESTION = {"role": "user", "content": "What is the weather in Lisbon?"}
SKY = "hail, 7 degrees"


@pytest.fixture
def gpt(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as found:
        yield found


@pytest.fixture
def claude(live: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=live.url, api_key="x", max_retries=0) as found:
        yield found


def function(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


def asked(client: openai.OpenAI, *, stream: bool, **fields: Any) -> tuple[str, list[Any], str]:
    """The content, the calls, and why the answer ended."""
    given = {"model": "default", "temperature": 0, "max_tokens": 120, **fields}
    if not stream:
        (choice,) = client.chat.completions.create(**given).choices
        calls = choice.message.tool_calls or []
        made = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
        return choice.message.content or "", made, choice.finish_reason
    content, texts, reason = "", {}, ""
    for chunk in client.chat.completions.create(**given, stream=True):
        (part,) = chunk.choices
        content += part.delta.content or ""
        for call in part.delta.tool_calls or ():
            name, arguments = texts.get(call.index, ("", ""))
            name += call.function.name or ""
            texts[call.index] = (name, arguments + (call.function.arguments or ""))
        reason = part.finish_reason or reason
    return content, [(name, json.loads(text)) for name, text in texts.values()], reason


@pytest.mark.parametrize("stream", [False, True])
def test_openai_calls_and_hears_the_result(gpt: openai.OpenAI, stream: bool) -> None:
    tools = [function("get_weather", CITY, description="The weather in a city.")]
    content, calls, reason = asked(gpt, stream=stream, tools=tools, messages=[QUESTION])
    assert (content, calls, reason) == ("", [("get_weather", {"city": "Lisbon"})], "tool_calls")
    said = {"name": "get_weather", "arguments": json.dumps(calls[0][1])}
    turns = [
        QUESTION,
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": said}]},
        {"role": "tool", "tool_call_id": "a", "content": SKY},
    ]
    content, calls, reason = asked(gpt, stream=stream, tools=tools, messages=turns)
    assert (calls, reason) == ([], "stop")
    assert "Lisbon" in content
    assert SKY in content


@pytest.mark.parametrize("stream", [False, True])
def test_openai_requires_a_strict_call(gpt: openai.OpenAI, stream: bool) -> None:
    tools = [function("set_unit", PICK, strict=True, description="Set the unit.")]
    fields = {"tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
    hello = [{"role": "user", "content": "Set the unit to fahrenheit"}]
    _, calls, reason = asked(gpt, stream=stream, messages=hello, **fields)
    assert (calls, reason) == ([("set_unit", {"unit": "fahrenheit"})], "tool_calls")


def test_openai_gets_text_where_no_tool_helps(gpt: openai.OpenAI) -> None:
    tools = [function("get_weather", CITY, description="The weather in a city.")]
    hello = [{"role": "user", "content": "how do I list the plugins?"}]
    content, calls, reason = asked(gpt, stream=False, tools=tools, messages=hello)
    assert (calls, reason) == ([], "stop")
    assert "tramontane plugins" in content


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_calls_and_hears_the_result(claude: anthropic.Anthropic, stream: bool) -> None:
    tools = [{**WEATHER, "input_schema": CITY}]
    given: dict[str, Any] = {"model": "default", "max_tokens": 120, "tools": tools}
    given["extra_body"] = {"temperature": 0}

    def answer(messages: list[Any]) -> Any:
        if not stream:
            return claude.messages.create(**given, messages=messages)
        with claude.messages.stream(**given, messages=messages) as events:
            return events.get_final_message()

    first = answer([QUESTION])
    (call,) = first.content
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Lisbon"})
    assert first.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": SKY}
    turns = [
        QUESTION,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = answer(turns)
    (said,) = second.content
    assert second.stop_reason == "end_turn"
    assert SKY in said.text


def test_several_calls_have_ids_of_their_own(claude: anthropic.Anthropic) -> None:
    asked = {"role": "user", "content": "What is the weather in Lisbon and Tallinn?"}
    found = claude.messages.create(
        model="default", max_tokens=120, messages=[asked],  # type: ignore[list-item]
        tools=[{**WEATHER, "input_schema": CITY}], extra_body={"temperature": 0},
    )  # fmt: skip
    assert [block.input for block in found.content] == [{"city": "Lisbon"}, {"city": "Tallinn"}]
    assert len({block.id for block in found.content}) == 2


def test_anthropic_any_tool_strictly(claude: anthropic.Anthropic) -> None:
    tool = {
        "name": "set_unit",
        "description": "Set the unit.",
        "input_schema": PICK,
        "strict": True,
    }
    found = claude.messages.create(
        model="default", max_tokens=120, tools=[tool],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        messages=[{"role": "user", "content": "Set the unit to celsius"}],
        extra_body={"temperature": 0},
    )  # fmt: skip
    (call,) = found.content
    assert (call.name, call.input) == ("set_unit", {"unit": "celsius"})


def test_the_server_answers_through_a_tool_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    adder = {"command": sys.executable, "args": [str(ADDER), "stdio"], "allow": ["add"]}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"adder": adder}}))
    with (
        serving(tmp_path, "--mcp-config", str(config)) as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client,
    ):
        for stream in (False, True):
            messages = [{"role": "user", "content": "What is 4816 plus 357?"}]
            content, calls, reason = asked(client, stream=stream, messages=messages)
            assert (calls, reason) == ([], "stop")
            assert "5173" in content
