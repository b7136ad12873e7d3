"""Tools of MCP servers that the server's owner registered run in the server, in rounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anthropic
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
        if calls := getattr(message, "server_tool_calls", ()):
            ran += ran_here(calls)
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
    told = getattr(whole.choices[0].message, "server_tool_calls", None)
    assert getattr(chunks[-1].choices[0].delta, "server_tool_calls", None) == told


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


def ran_here(calls: Sequence[Mapping[str, str]]) -> int:
    """How many calls ran. After the one round there is, a model may still want more."""
    ran = 0
    for call in calls:
        assert call["name"] == "pick"
        if ran and call["result"] == "not run: the answer has had all its rounds of tools":
            continue
        assert call["result"] == f"picked the {json.loads(call['arguments'])['which']}"
        ran += 1
    return ran


def response(seed: int) -> dict[str, Any]:
    return {
        "model": "default", "input": "Pick one.", "tool_choice": "required", "temperature": 1.5,
        "max_output_tokens": 150, "parallel_tool_calls": False, "extra_body": {"seed": seed},
    }  # fmt: skip


def test_responses_have_the_rounds_too(client: openai.OpenAI) -> None:
    ran = 0
    for seed in range(6):
        whole = client.responses.create(**response(seed))
        assert {item.type for item in whole.output} == {"message"}
        calls = (whole.model_extra or {}).get("server_tool_calls", ())
        ran += ran_here(calls)
        kept = client.responses.retrieve(whole.id)
        assert (kept.output_text, kept.model_extra) == (whole.output_text, whole.model_extra)
        events = list(client.responses.create(**response(seed), stream=True))
        last = events[-1].response
        assert (last.output_text, last.status) == (whole.output_text, whole.status)
        assert (last.model_extra or {}).get("server_tool_calls", ()) == calls
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        assert "".join(deltas) == whole.output_text
    assert ran


def test_in_responses_the_clients_tools_are_the_clients_to_run(client: openai.OpenAI) -> None:
    tool = {"type": "function", **MINE["function"]}
    choice = {"type": "function", "name": "mine"}
    answer = client.responses.create(
        model="default", input="Pick one.", tools=[tool], tool_choice=choice
    )
    assert [item.name for item in answer.output if item.type == "function_call"] == ["mine"]


def message(seed: int) -> dict[str, Any]:
    return {
        "model": "default", "messages": ASK, "max_tokens": 150,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "extra_body": {"seed": seed, "temperature": 1.5},
    }  # fmt: skip


@pytest.fixture
def anthropics(owned: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=owned.url, api_key="x", max_retries=0) as found:
        yield found


def test_messages_have_the_rounds_too(anthropics: anthropic.Anthropic) -> None:
    ran = 0
    for seed in range(6):
        whole = anthropics.messages.create(**message(seed))
        text = "".join(block.text for block in whole.content)  # there are no blocks of other kinds
        calls = (whole.model_extra or {}).get("server_tool_calls", ())
        ran += ran_here(calls)
        assert whole.stop_reason in ("end_turn", "max_tokens")
        with anthropics.messages.stream(**message(seed)) as stream:
            assert "".join(stream.text_stream) == text
            last = stream.get_final_message()
        assert last.stop_reason == whole.stop_reason
        assert last.usage.output_tokens == whole.usage.output_tokens
    assert ran


def test_in_messages_the_clients_tools_are_the_clients_to_run(
    anthropics: anthropic.Anthropic,
) -> None:
    schema = MINE["function"]["parameters"]
    mine = {"name": "mine", "strict": True, "input_schema": schema}
    choice = {"type": "tool", "name": "mine"}
    answer = anthropics.messages.create(**{**message(0), "tools": [mine], "tool_choice": choice})
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["mine"]
    assert answer.stop_reason == "tool_use"


def test_own_tools_count_as_part_of_the_prompt(
    anthropics: anthropic.Anthropic, client: openai.OpenAI
) -> None:
    count = anthropics.messages.count_tokens(model="default", messages=ASK).input_tokens
    answer = anthropics.messages.create(model="default", messages=ASK, max_tokens=1)
    usage = answer.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == count
    chat = client.chat.completions.create(model="default", messages=ASK, max_tokens=1)
    assert chat.usage.prompt_tokens == count


def test_a_server_that_is_down_is_a_warning(owned: Live) -> None:
    assert "down" in owned.log.read_text()
