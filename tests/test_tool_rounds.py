"""A model that calls Python functions: made to by a grammar, as its weights are random."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Literal

import pytest
from tramontane import LLM, AsyncLLM, SamplingParams
from tramontane.answers import Answer
from tramontane.errors import PluginNotInstalled, RequestError
from tramontane.tools import Tool

from .tiny import write_model

TEMPLATE = (
    "{% for tool in tools or [] %}<tools>{{ tool | tojson }}{% endfor %}"
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>"
    "{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calling")
    write_model(folder, max_position_embeddings=4096)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"chat_template": TEMPLATE, "model_max_length": 4096}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def llm(model):
    with LLM(model, device="reference") as llm:
        yield llm


def get_weather(city: Literal["Oslo", "Rome"], days: Literal[1, 2] = 1) -> str:
    """The weather in a city.

    Args:
        city: where
    """
    return f"{days} days of rain in {city}"


def strict(function) -> dict:
    """The function's schema, which arguments must keep to."""
    from tramontane.chat.toolbox import Function, function_tool

    made = function_tool(function)
    tool = Tool(name=made.tool.name, parameters=made.tool.parameters, strict=True)
    return Function(tool, made.run, made.arguments)


SHORT = SamplingParams(max_tokens=120, seed=3)


def test_a_required_call_is_run_and_its_result_told(llm):
    answer = llm.chat("?", SHORT, tools=[strict(get_weather)], tool_choice="required")
    asked, *told = answer.added
    calls = asked["tool_calls"]
    assert calls
    assert len(told) == len(calls)
    for call, result in zip(calls, told, strict=True):
        assert result["tool_call_id"] == call["id"]
        city = json.loads(call["function"]["arguments"])["city"]
        assert result["content"].endswith(f"of rain in {city}")
    assert answer.answers[0].content or answer.tool_calls == []


def test_calls_of_a_schema_are_only_returned(llm):
    tool = {"type": "function", "function": {"name": "stop", "strict": True, "parameters": {
        "type": "object", "properties": {}, "additionalProperties": False}}}  # fmt: skip
    answer = llm.chat("?", SHORT, tools=[tool], tool_choice="stop", parallel_tool_calls=False)
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("stop", "{}")]
    assert answer.added == ()
    assert answer.content == ""


def test_no_rounds_no_runs(llm):
    answer = llm.chat(
        "?", SHORT, tools=[strict(get_weather)], tool_choice="required", max_tool_rounds=0
    )
    assert answer.tool_calls[0].name == "get_weather"
    assert answer.added == ()


def test_what_is_refused_is_told_to_the_model(llm):
    asked = []

    def approve(call):
        asked.append(call.name)
        return "not on a Sunday"

    answer = llm.chat(
        "?", SHORT, tools=[strict(get_weather)], tool_choice="required", approve=approve
    )
    assert asked[0] == "get_weather"
    assert answer.added[1]["content"] == "error: not on a Sunday"


def test_a_stream_tells_calls_apart_as_they_come(llm):
    chunks = list(
        llm.chat("?", SHORT, tools=[strict(get_weather)], tool_choice="required", stream=True)
    )
    answer = Answer.of(delta for chunk in chunks for delta in chunk.deltas)
    assert [call.name for call in answer.calls] == ["get_weather"] * len(answer.calls) != []
    pieces = [chunk for chunk in chunks if chunk.deltas]
    assert len(pieces) > 3


def test_several_answers_are_each_told_apart(llm):
    params = SamplingParams(max_tokens=200, seed=3, n=3, temperature=1.0)
    answer = llm.chat("?", params, tools=[strict(get_weather)], tool_choice="required")
    assert all(one.calls and one.calls[0].name == "get_weather" for one in answer.answers)
    assert answer.added == ()


def test_the_best_of_several_is_chosen(llm):
    params = SamplingParams(max_tokens=200, seed=3, best_of=3, temperature=1.0)
    tools = {"tools": [strict(get_weather)], "tool_choice": "required", "max_tool_rounds": 0}
    answer = llm.chat("?", params, **tools)
    assert len(answer.choices) == len(answer.answers) == 1
    with pytest.raises(RequestError, match="best_of=3 cannot be streamed"):
        llm.chat("?", params, stream=True, **tools)


def test_async_runs_coroutines_in_the_loop(model):
    loops = []

    async def get_time(zone: Literal["CET"]) -> dict:
        """The time."""
        loops.append(asyncio.get_running_loop())
        return {"zone": zone}

    async def ask():
        async with AsyncLLM(model, device="reference") as llm:
            answer = await llm.chat("?", SHORT, tools=[strict(get_time)], tool_choice="required")
            return answer, asyncio.get_running_loop()

    answer, loop = asyncio.run(ask())
    assert answer.added[1]["content"] == '{"zone": "CET"}'
    assert set(loops) == {loop}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tools": [get_weather, get_weather]}, "two tools are named 'get_weather'"),
        ({"tools": [get_weather], "tool_choice": "other"}, "'other' is no tool"),
        ({"tools": [5]}, "is no tool"),
        ({"tools": [{"type": "function"}]}, "has a name"),
        ({"tools": [lambda *args: 0]}, "by its name"),
        ({"tool_choice": "required"}, "there are no tools"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(llm, given, told):
    with pytest.raises(RequestError, match=told):
        llm.chat("?", SHORT, **given)


def test_a_tool_caller_can_be_named(model):
    with LLM(model, device="reference", tool_caller="mistral-v11") as llm:
        answer = llm.chat(
            "?", SHORT, tools=[strict(get_weather)], tool_choice="required", max_tool_rounds=0
        )
        assert answer.text.startswith("[TOOL_CALLS]get_weather[ARGS]{")
        assert answer.tool_calls[0].name == "get_weather"
    with pytest.raises(PluginNotInstalled):
        LLM(model, device="reference", tool_caller="nobodys")


def test_a_template_for_tools_is_taken_where_there_are_some(model, tmp_path):
    folder = tmp_path / "two"
    shutil.copytree(model, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    plain = TEMPLATE.partition("{% endfor %}")[2]
    settings["chat_template"] = [
        {"name": "default", "template": plain}, {"name": "tool_use", "template": TEMPLATE}
    ]  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with LLM(folder, device="reference") as llm:
        assert llm.inner.dialect.caller.name == "hermes"
        rendered = llm.inner.render([{"role": "user", "content": "?"}], tools=[{"a": 1}])
        assert rendered.startswith('<tools>{"a": 1}')
        assert "<tools>" not in llm.inner.render([{"role": "user", "content": "?"}])
        answer = llm.chat("?", SHORT, tools=[strict(get_weather)], tool_choice="required")
        assert answer.added


def test_inspect_says_how_a_model_writes(model, run):
    status, out, _ = run("inspect", model, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["tool_caller"], found["reasoning"]) == ("hermes", None)
    status, out, _ = run("inspect", model, "--tool-caller", "kimi-k2")
    assert "tool calls" in out
    assert "kimi-k2" in out
    status, _, err = run("inspect", model, "--tool-caller", "nobodys")
    assert status == 1
    assert "nobodys" in err


def test_a_template_without_tools_is_refused(tmp_path):
    write_model(tmp_path)
    with (
        LLM(tmp_path, device="reference") as llm,
        pytest.raises(RequestError, match="no place for tools"),
    ):
        llm.chat("?", SHORT, tools=[get_weather])
