"""Tool calls and forms of answers in Anthropic's API, with a model that knows neither."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from .live_server import Live

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"enum": [1, 2, 3]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
STOP = {
    "name": "stop_all", "strict": True, "type": "custom",
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}  # fmt: skip
NAMED = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
ASK = [{"role": "user", "content": "What is the weather in Oslo?"}]
FORM = {
    "type": "json_schema",
    "schema": {
        "type": "object", "properties": {"big": {"type": "boolean"}}, "required": ["big"],
        "additionalProperties": False,
    },
}  # fmt: skip
BEGUN = [*ASK, {"role": "assistant", "content": "It is"}]


class Size(BaseModel):
    big: bool


@pytest.fixture
def client(thinking: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=thinking.url, api_key="x", max_retries=0) as found:
        yield found


def ask(client: anthropic.Anthropic, **fields: Any) -> Any:
    return client.messages.create(
        **{"model": "default", "max_tokens": 200, "messages": ASK, **fields}
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("choice", [{"type": "any", "disable_parallel_tool_use": True}, NAMED])
def test_calls_that_are_asked_for_are_made(
    client: anthropic.Anthropic, choice: Any, seed: int
) -> None:
    drawn = {"extra_body": {"temperature": 1.5, "seed": seed}}
    found = ask(client, tools=[WEATHER, STOP], tool_choice=choice, **drawn)
    assert (found.stop_reason, found.stop_sequence) == ("tool_use", None)
    (call,) = found.content
    assert call.type == "tool_use"
    if call.name == "get_weather":
        assert call.input["city"] in ("Oslo", "Rome")
        assert call.input["days"] in (1, 2, 3)
    else:
        assert choice["type"] == "any"
        assert (call.name, call.input) == ("stop_all", {})


def test_results_go_back(client: anthropic.Anthropic) -> None:
    first = ask(client, tools=[WEATHER], tool_choice=NAMED)
    (call,) = first.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [
        *ASK,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    asked: dict[str, Any] = {"model": "default", "messages": turns, "tools": [WEATHER]}
    count = client.messages.count_tokens(**asked).input_tokens
    usage = client.messages.create(**asked, max_tokens=5).usage
    assert usage.input_tokens + usage.cache_read_input_tokens == count
    short = client.messages.count_tokens(**{**asked, "messages": ASK}).input_tokens
    assert count > short + 20


def test_tools_are_counted(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "default", "messages": ASK}
    plain = client.messages.count_tokens(**asked).input_tokens
    more = client.messages.count_tokens(**asked, tools=[WEATHER]).input_tokens
    forced = client.messages.count_tokens(**asked, tools=[WEATHER], tool_choice=NAMED)
    none = client.messages.count_tokens(**asked, tools=[WEATHER], tool_choice={"type": "none"})
    assert plain == none.input_tokens < more == forced.input_tokens
    with pytest.raises(anthropic.BadRequestError, match="'no' is no tool"):
        client.messages.count_tokens(
            **asked, tools=[WEATHER], tool_choice={"type": "tool", "name": "no"}
        )


def test_without_tools_nothing_changes(client: anthropic.Anthropic) -> None:
    plain = ask(client, max_tokens=20)
    none = ask(client, max_tokens=20, tools=[WEATHER], tool_choice={"type": "none"})
    assert none.content == plain.content
    begun = ask(
        client, max_tokens=20, tools=[WEATHER], tool_choice={"type": "none"}, messages=BEGUN
    )
    assert begun.content == ask(client, max_tokens=20, messages=BEGUN).content


@pytest.mark.parametrize("field", ["output_config", "output_format"])
@pytest.mark.parametrize("stream", [False, True])
def test_answers_keep_to_a_form(client: anthropic.Anthropic, field: str, stream: bool) -> None:
    given = {"format": FORM} if field == "output_config" else FORM
    asked = {
        "model": "default", "max_tokens": 100, "messages": ASK,
        "extra_body": {field: given, "temperature": 1.5, "seed": 2},
    }  # fmt: skip
    if stream:
        with client.messages.stream(**asked) as answer:
            found: Any = answer.get_final_message()
    else:
        found = client.messages.create(**asked)
    (block,) = found.content
    assert isinstance(Size.model_validate_json(block.text), Size)
    assert found.stop_reason == "end_turn"


def test_the_clients_own_parsing(client: anthropic.Anthropic, thinking: Live) -> None:
    asked: dict[str, Any] = {"model": "default", "max_tokens": 99, "messages": ASK}
    answer = client.messages.parse(**asked, output_format=Size)
    assert isinstance(answer.parsed_output, Size)

    async def parsed() -> Any:
        async with anthropic.AsyncAnthropic(base_url=thinking.url, api_key="x") as other:
            return await other.messages.parse(**asked, output_format=Size)

    assert asyncio.run(parsed()).parsed_output == answer.parsed_output


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mcp_servers": [{"type": "url", "url": "x", "name": "y"}]}, "mcp_servers is not supp"),
        ({"tools": [{**WEATHER, "input_examples": [{}]}]}, "input_examples"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are named 'get_weather'"),
        ({"tools": [STOP], "tool_choice": NAMED}, "'get_weather' is no tool"),
        ({"tool_choice": {"type": "any"}}, "there are no tools"),
        ({"tools": [WEATHER], "messages": BEGUN}, "and tools exclude each other"),
        ({"thinking": {"type": "adaptive"}, "messages": BEGUN}, "and thinking exclude each other"),
        ({"output_format": FORM, "messages": BEGUN}, "and a format exclude each other"),
        ({"output_format": FORM, "output_config": {"format": FORM}}, "mean the same"),
        ({"output_format": FORM, "grammar": {"type": "json_object"}}, "cannot be combined"),
        (
            {"tools": [WEATHER], "tool_choice": NAMED, "grammar": {"type": "regex", "value": "a"}},
            "exclude each other",
        ),
        (
            {"output_format": {"type": "json_schema", "schema": {
                "type": "string", "format": "no such format"}}},
            "format",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_is_refused(
    client: anthropic.Anthropic, fields: dict[str, Any], said: str, stream: bool
) -> None:
    body = {"model": "default", "messages": ASK, "max_tokens": 9, "stream": stream, **fields}
    with pytest.raises(anthropic.BadRequestError, match=said):
        client.post("/v1/messages", body=body, cast_to=object)
