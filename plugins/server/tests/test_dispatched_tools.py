"""A server with --tool-dispatch-url, asked by the official clients in all three APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from .live_server import Live, serving
from .tool_server import Asked, tool_server

TEMPLATE = Path(__file__).with_name("hermes.jinja")
ASK = [{"role": "user", "content": "Pick one."}]
WHICH = {"enum": ["first", "second"]}
SCHEMA = {
    "type": "object", "properties": {"which": WHICH}, "required": ["which"],
    "additionalProperties": False,
}  # fmt: skip


def tool(name: str) -> dict[str, Any]:
    function = {"name": name, "parameters": SCHEMA, "strict": True}
    return {"type": "function", "function": function}


@pytest.fixture(scope="module")
def there() -> Iterator[Asked]:
    with tool_server() as found:
        yield found


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory, there: Asked) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("dispatch")
    tools, config = folder / "tools.json", folder / "server.toml"
    tools.write_text(json.dumps({"tools": [tool("pick")]}))
    config.write_text(f'tool_dispatch_url = "{there.url}/content"\ntool_dispatch_names = ["sent"]')
    options = ["--config", str(config), "--tool-dispatch-tools", str(tools)]
    more = ["--chat-template", str(TEMPLATE), "--max-tool-rounds", "1"]
    with serving(folder, *options, *more) as live:
        yield live
        live.idle()


@pytest.fixture
def client(owned: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{owned.url}/v1", api_key="x", max_retries=0) as found:
        yield found


@pytest.fixture
def anthropics(owned: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=owned.url, api_key="x", max_retries=0) as found:
        yield found


def ran(answer: Any, name: str, there: Asked, before: int) -> None:
    """One call was asked of the tool server, and is told of."""
    first, *left = (answer.model_extra or {})["server_tool_calls"]
    assert all(call["result"].startswith("not run: ") for call in left)
    which = json.loads(first["arguments"])["which"]
    told = {"name": name, "arguments": first["arguments"], "result": f"{name} of which={which}"}
    assert first == told
    bodies = [body for _, body in there.asked[before:]]
    assert bodies == [{"name": name, "arguments": {"which": which}}]


@pytest.mark.parametrize("name", ["pick", "sent"])
def test_chat(client: openai.OpenAI, there: Asked, name: str) -> None:
    mine = {} if name == "pick" else {"tools": [tool(name)]}
    choice = {"type": "function", "function": {"name": name}}
    asked: dict[str, Any] = {
        "model": "default", "messages": ASK, "max_tokens": 60, "tool_choice": choice, "seed": 1,
        "parallel_tool_calls": False, **mine,
    }  # fmt: skip
    before = len(there.asked)
    answer = client.chat.completions.create(**asked)
    message = answer.choices[0].message
    assert message.tool_calls is None
    ran(message, name, there, before)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len(there.asked) == before + 2
    assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == (message.content or "")


@pytest.mark.parametrize("name", ["pick", "sent"])
def test_responses(client: openai.OpenAI, there: Asked, name: str) -> None:
    mine = {} if name == "pick" else {"tools": [{"type": "function", **tool(name)["function"]}]}
    asked: dict[str, Any] = {
        "model": "default", "input": "Pick one.", "max_output_tokens": 60,
        "tool_choice": {"type": "function", "name": name}, "parallel_tool_calls": False, **mine,
    }  # fmt: skip
    before = len(there.asked)
    answer = client.responses.create(**asked)
    assert {item.type for item in answer.output} <= {"message"}
    ran(answer, name, there, before)
    last = list(client.responses.create(**asked, stream=True))[-1].response
    ran(last, name, there, before + 1)


@pytest.mark.parametrize("name", ["pick", "sent"])
def test_messages(anthropics: anthropic.Anthropic, there: Asked, name: str) -> None:
    mine = {"tools": [{"name": name, "input_schema": SCHEMA, "strict": True}]}
    choice = {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    asked: dict[str, Any] = {
        "model": "default", "messages": ASK, "max_tokens": 60, "tool_choice": choice,
        **({} if name == "pick" else mine),
    }  # fmt: skip
    before = len(there.asked)
    answer = anthropics.messages.create(**asked)
    assert not any(block.type == "tool_use" for block in answer.content)
    ran(answer, name, there, before)
    with anthropics.messages.stream(**asked) as stream:
        last = stream.get_final_message()
    assert len(there.asked) == before + 2
    assert not any(block.type == "tool_use" for block in last.content)


def test_other_tools_are_the_clients(client: openai.OpenAI, there: Asked) -> None:
    before = len(there.asked)
    choice = {"type": "function", "function": {"name": "mine"}}
    for mine in ("mine", "pick"):  # also one that is called as the owner's
        choice = {"type": "function", "function": {"name": mine}}
        answer = client.chat.completions.create(
            model="default", messages=ASK, tools=[tool(mine)], tool_choice=choice, max_tokens=60
        )
        calls = answer.choices[0].message.tool_calls
        assert calls
        assert {call.function.name for call in calls} == {mine}
    assert len(there.asked) == before


def test_what_is_said_in_each_round_is_told_whole_and_streamed(client: openai.OpenAI) -> None:
    form = 'Looking.\n<tool_call>\n{"name": "sent", "arguments": {"which": "first"}}\n</tool_call>'
    free = {"type": "function", "function": {"name": "sent"}}
    named = {"type": "function", "function": {"name": "sent"}}
    asked: dict[str, Any] = {
        "model": "default", "messages": ASK, "max_tokens": 150, "tools": [free],
        "tool_choice": {"type": "allowed_tools",
                        "allowed_tools": {"mode": "auto", "tools": [named]}},
        "extra_body": {"grammar": {"type": "regex", "value": re.escape(form)}},
    }  # fmt: skip
    message = client.chat.completions.create(**asked).choices[0].message
    assert message.content == "Looking.\n\nLooking."
    first, second = message.server_tool_calls
    assert (first["result"], second["result"][:8]) == ("sent of which=first", "not run:")
    with client.chat.completions.stream(**asked) as stream:
        last = stream.get_final_completion().choices[0].message
    assert last.content == message.content
    assert last.server_tool_calls == message.server_tool_calls


def test_several_answers_have_no_rounds(client: openai.OpenAI, there: Asked) -> None:
    before = len(there.asked)
    answer = client.chat.completions.create(
        model="default", messages=ASK, tools=[tool("sent")], tool_choice="required", n=2,
        max_tokens=60,
    )  # fmt: skip
    for choice in answer.choices:
        assert {call.function.name for call in choice.message.tool_calls or ()} == {"sent"}
    assert len(there.asked) == before


def test_a_request_cannot_say_where(client: openai.OpenAI, there: Asked) -> None:
    before = len(there.asked)
    given: Any = {"model": "default", "messages": ASK, "tools": [tool("theirs")], "max_tokens": 60}
    more = {"tool_dispatch_url": "http://127.0.0.1:1/", "tool_dispatch_names": ["theirs"]}
    answer = client.chat.completions.with_raw_response.create(
        **given, tool_choice={"type": "function", "function": {"name": "theirs"}}, extra_body=more
    )
    assert answer.headers["x-tramontane-ignored"] == "tool_dispatch_url, tool_dispatch_names"
    (call,) = answer.parse().choices[0].message.tool_calls or ()
    assert call.function.name == "theirs"  # it went to the client, not there
    assert len(there.asked) == before
