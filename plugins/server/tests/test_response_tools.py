"""Tool calls and forms of answers in OpenAI's responses API, with a model that knows neither."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from .live_server import Live

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"enum": [1, 2, 3]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
STOP = {
    "type": "function", "name": "stop_all", "strict": True,
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
}  # fmt: skip
NAMED = {"type": "function", "name": "get_weather"}
ASK = "What is the weather in Oslo?"


class Size(BaseModel):
    big: bool


@pytest.fixture
def client(thinking: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{thinking.url}/v1", api_key="x", max_retries=0) as found:
        yield found


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    given = {"model": "default", "input": ASK, "max_output_tokens": 200, **fields}
    return client.responses.create(**given)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("choice", ["required", NAMED])
def test_calls_that_are_asked_for_are_made(client: openai.OpenAI, choice: Any, seed: int) -> None:
    drawn = {"temperature": 1.5, "extra_body": {"seed": seed}, "parallel_tool_calls": False}
    found = ask(client, tools=[WEATHER, STOP], tool_choice=choice, **drawn)
    assert found.status == "completed"
    (call,) = found.output
    assert (call.type, call.status) == ("function_call", "completed")
    arguments = json.loads(call.arguments)
    if call.name == "get_weather":
        assert arguments["city"] in ("Oslo", "Rome")
        assert arguments["days"] in (1, 2, 3)
    else:
        assert choice == "required"
        assert (call.name, arguments) == ("stop_all", {})
    assert [tool.name for tool in found.tools] == ["get_weather", "stop_all"]
    assert found.tools[0].parameters == WEATHER["parameters"]
    shown = found.tool_choice if choice == "required" else found.tool_choice.model_dump()
    assert shown == choice
    assert found.parallel_tool_calls is False


def test_the_chat_apis_forms(client: openai.OpenAI) -> None:
    inner = {name: value for name, value in WEATHER.items() if name != "type"}
    nested = {"type": "function", "function": inner}
    named = {"type": "function", "function": {"name": "get_weather"}}
    found = ask(client, tools=[nested], tool_choice=named)
    flat = ask(client, tools=[WEATHER], tool_choice=NAMED)
    assert found.output[0].arguments == flat.output[0].arguments
    assert found.tools == flat.tools


@pytest.mark.parametrize("mode", ["required", "auto"])
def test_only_allowed_tools_are_called(client: openai.OpenAI, mode: str) -> None:
    tool = {"type": "function", "name": "stop_all"}
    choice = {"type": "allowed_tools", "mode": mode, "tools": [tool]}
    for seed in range(3):
        drawn = {"temperature": 2.0, "extra_body": {"seed": seed}, "max_output_tokens": 60}
        found = ask(client, tools=[WEATHER, STOP], tool_choice=choice, **drawn)
        names = {item.name for item in found.output if item.type == "function_call"}
        assert names == {"stop_all"} or (mode == "auto" and not names)


def test_results_go_back(client: openai.OpenAI) -> None:
    forced = {"tools": [WEATHER], "tool_choice": NAMED, "parallel_tool_calls": False}
    first = ask(client, **forced)
    (call,) = first.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    more = {"tools": [WEATHER], "max_output_tokens": 5}
    chained = ask(client, input=[result], previous_response_id=first.id, **more)
    said = [{"role": "user", "content": ASK}, call.model_dump(exclude_none=True), result]
    told = ask(client, input=said, **more)
    assert told.usage.input_tokens == chained.usage.input_tokens
    assert told.output_text == chained.output_text
    plain = ask(client, tools=[WEATHER], max_output_tokens=5)
    assert told.usage.input_tokens > plain.usage.input_tokens + 20
    listed = client.responses.input_items.list(chained.id, order="asc")
    kinds = [item.type for item in listed]
    assert kinds == ["message", "function_call", "function_call_output"]


def test_without_tools_nothing_changes(client: openai.OpenAI) -> None:
    plain = ask(client, max_output_tokens=20)
    none = ask(client, max_output_tokens=20, tools=[WEATHER], tool_choice="none")
    assert none.output_text == plain.output_text
    assert none.usage.input_tokens == plain.usage.input_tokens


def test_a_call_that_is_cut_off_says_so(client: openai.OpenAI) -> None:
    cut = ask(client, tools=[WEATHER], tool_choice=NAMED, max_output_tokens=24)
    assert cut.status == "incomplete"
    (call,) = cut.output
    assert call.status == "incomplete"
    assert call.arguments.startswith("{")
    assert not call.arguments.endswith("}")


@pytest.mark.parametrize("form", ["json_schema", "json_object"])
@pytest.mark.parametrize("stream", [False, True])
def test_answers_keep_to_a_form(client: openai.OpenAI, form: str, stream: bool) -> None:
    schema = {"name": "size", "schema": {**Size.model_json_schema(), "additionalProperties": False}}
    given = {"type": form, **(schema if form == "json_schema" else {})}
    asked = {"text": {"format": given}, "temperature": 1.0, "extra_body": {"seed": 3}}
    if stream:
        events = list(ask(client, **asked, stream=True))
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        found = events[-1].response
        assert text == found.output_text
    else:
        found = ask(client, **asked)
        text = found.output_text
    if form == "json_schema":
        assert isinstance(Size.model_validate_json(text), Size)
        assert found.text.format.schema_ == schema["schema"]
    else:
        assert text.lstrip().startswith("{")
    assert found.text.format.type == form


def test_the_clients_own_parsing(client: openai.OpenAI, thinking: Live) -> None:
    answer = client.responses.parse(model="default", input=ASK, text_format=Size)
    assert isinstance(answer.output_parsed, Size)

    async def parsed() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{thinking.url}/v1", api_key="x") as other:
            return await other.responses.parse(model="default", input=ASK, text_format=Size)

    assert asyncio.run(parsed()).output_parsed == answer.output_parsed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "there are no tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "mcp"}}, "type 'mcp' is not supported"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are named 'get_weather'"),
        ({"tools": [STOP], "tool_choice": NAMED}, "tool_choice 'get_weather' is no tool"),
        ({"tools": [{**STOP, "defer_loading": True}]}, "defer_loading"),
        ({"tool_choice": NAMED}, "tools: none"),
        (
            {"tools": [WEATHER], "tool_choice": "required",
             "grammar": {"type": "regex", "value": "a"}},
            "exclude each other",
        ),
        (
            {"text": {"format": {"type": "json_object"}},
             "grammar": {"type": "regex", "value": "a"}},
            "text.format and grammar cannot be combined",
        ),
        (
            {"text": {"format": {
                "type": "json_schema", "name": "x",
                "schema": {"type": "string", "format": "no such format"}}}},
            "format",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], said: str, stream: bool
) -> None:
    body = {"model": "default", "input": ASK, "max_output_tokens": 9, "stream": stream, **fields}
    with pytest.raises(openai.BadRequestError, match=said):
        client.post("/responses", body=body, cast_to=object)
