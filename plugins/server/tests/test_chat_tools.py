"""Tool calls and forms of answers in OpenAI's chat API, with a model that knows neither.

Grammars make calls and forms sure whatever the model is, and that is what is tested here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from .live_server import Live, serving

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
STOP = {
    "type": "function",
    "function": {
        "name": "stop_all", "strict": True,
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}  # fmt: skip
NAMED = {"type": "function", "function": {"name": "get_weather"}}
ASK = [{"role": "user", "content": "What is the weather in Oslo?"}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["fox", "bear"]}, "age": {"enum": [1, 2]}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


class Animal(BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    template = Path(__file__).with_name("hermes.jinja")
    folder = tmp_path_factory.mktemp("calling")
    with serving(folder, "--chat-template", str(template)) as live:
        yield live
        live.idle()


@pytest.fixture
def client(calling: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{calling.url}/v1", api_key="x", max_retries=0) as found:
        yield found


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    given = {"model": "default", "messages": ASK, "max_tokens": 200, **fields}
    return client.chat.completions.create(**given)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("choice", ["required", NAMED])
def test_calls_that_are_asked_for_are_made(client: openai.OpenAI, choice: Any, seed: int) -> None:
    drawn = {"temperature": 1.5, "seed": seed, "parallel_tool_calls": False}
    (found,) = ask(client, tools=[WEATHER, STOP], tool_choice=choice, **drawn).choices
    assert found.finish_reason == "tool_calls"
    (call,) = found.message.tool_calls
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_weather":
        assert arguments["city"] in ("Oslo", "Rome")
        assert arguments["days"] in (1, 2, 3)
    else:
        assert choice == "required"
        assert (call.function.name, arguments) == ("stop_all", {})


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_of_calls_is_the_whole(client: openai.OpenAI, seed: int) -> None:
    fields = {"tools": [WEATHER, STOP], "tool_choice": "required", "temperature": 1.5, "seed": seed}
    (whole,) = ask(client, **fields).choices
    calls: dict[int, list[str]] = {}
    reason = None
    for chunk in ask(client, **fields, stream=True):
        (part,) = chunk.choices
        assert not part.delta.content
        for call in part.delta.tool_calls or ():
            if call.id:
                assert call.type == "function"
                calls[call.index] = [call.function.name, ""]
            calls[call.index][1] += call.function.arguments or ""
        reason = part.finish_reason or reason
    assert reason == whole.finish_reason
    expected = [[c.function.name, c.function.arguments] for c in whole.message.tool_calls]
    assert list(calls.values()) == expected


@pytest.mark.parametrize("stream", [False, True])
def test_one_call_at_a_time(client: openai.OpenAI, stream: bool) -> None:
    """Also of tools that no grammar keeps to."""
    call = r'<tool_call>\{"name": "free", "arguments": \{"a": [1-9]\}\}</tool_call>'
    grammar = {"type": "regex", "value": f"{call}\n{call}"}
    tool = {"type": "function", "function": {"name": "free"}}
    asked = {"tools": [tool], "extra_body": {"grammar": grammar}, "stream": stream}
    counts = []
    for parallel in (True, False):
        found = ask(client, **asked, parallel_tool_calls=parallel)
        parts = [c.choices[0].delta for c in found] if stream else [found.choices[0].message]
        counts.append(sum(bool(call.id) for part in parts for call in part.tool_calls or ()))
    assert counts == [2, 1]


def test_only_allowed_tools_are_called(client: openai.OpenAI) -> None:
    allowed = {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": "stop_all"}}],
    }
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    for seed in range(3):
        (found,) = ask(
            client, tools=[WEATHER, STOP], tool_choice=choice, temperature=2.0, seed=seed
        ).choices
        assert {call.function.name for call in found.message.tool_calls} == {"stop_all"}


def test_results_go_back_to_the_model(client: openai.OpenAI) -> None:
    (found,) = ask(client, tools=[WEATHER], tool_choice="required").choices
    call = found.message.tool_calls[0]
    history = [
        *ASK,
        found.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    told = client.post("/../tokenize", body={"messages": history}, cast_to=dict)
    text = client.post("/../detokenize", body={"tokens": told["tokens"]}, cast_to=dict)["prompt"]
    assert '<tool_call>{"name": "get_weather"' in text
    assert "sunny" in text
    assert ask(client, messages=history, tools=[WEATHER], max_tokens=5).choices


@pytest.mark.parametrize("dumped", [{}, {"exclude_none": True}], ids=["null", "absent"])
def test_an_answer_goes_back_as_the_client_has_it(client: openai.OpenAI, dumped: Any) -> None:
    (found,) = ask(client, tools=[WEATHER], tool_choice="required").choices
    assert found.message.content is None
    history = [
        {"role": "developer", "content": "Be brief"},
        *ASK,
        found.message.model_dump(**dumped),
        {
            "role": "tool",
            "tool_call_id": found.message.tool_calls[0].id,
            "content": [{"type": "text", "text": "sunny"}],
        },
    ]
    told = client.post("/../tokenize", body={"messages": history}, cast_to=dict)
    text = client.post("/../detokenize", body={"tokens": told["tokens"]}, cast_to=dict)["prompt"]
    assert "<|im_start|>system\nBe brief<|im_end|>" in text
    assert "<|im_start|>assistant\n<tool_call>" in text
    assert "<|im_start|>tool\nsunny<|im_end|>" in text
    again = ask(client, messages=history, tools=[WEATHER], tool_choice="none", max_tokens=5)
    assert again.choices


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": None}, "has no content"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "takes text only"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "write tool_calls instead"),
        ({"role": "assistant", "tool_calls": "f"}, "tool_calls should be a list"),
    ],
)
def test_messages_that_no_template_can_take(
    client: openai.OpenAI, message: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=complaint):
        ask(client, messages=[message])


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_a_stop_text_ends_is_not_one_to_run(
    client: openai.OpenAI, stream: bool
) -> None:
    asked = {"tools": [WEATHER], "tool_choice": "required", "stop": "city"}
    if stream:
        chunks = list(ask(client, **asked, stream=True))
        assert any(chunk.choices[0].delta.tool_calls for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = ask(client, **asked).choices[0]
        assert choice.message.tool_calls
        reason = choice.finish_reason
    assert reason == "stop"


def test_without_tools_nothing_changes(client: openai.OpenAI) -> None:
    plain = ask(client, max_tokens=20).choices[0]
    none = ask(client, max_tokens=20, tools=[WEATHER], tool_choice="none").choices[0]
    assert none.message.content == plain.message.content
    assert none.message.tool_calls is None


@pytest.mark.parametrize("stream", [False, True])
def test_answers_keep_to_a_schema(client: openai.OpenAI, stream: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA}}
    for seed in range(3):
        drawn = {"response_format": form, "temperature": 1.5, "seed": seed}
        if stream:
            parts = [c.choices[0].delta.content or "" for c in ask(client, **drawn, stream=True)]
            text = "".join(parts)
        else:
            text = ask(client, **drawn).choices[0].message.content
        assert Animal(**json.loads(text)).name in ("fox", "bear")


@pytest.mark.parametrize("strict", [False, True])
def test_tools_and_a_form_go_together(client: openai.OpenAI, strict: bool) -> None:
    tool = {**WEATHER, "function": {**WEATHER["function"], "strict": strict}}
    form = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA}}
    first = {}
    for text in ("{", "<tool_call>"):
        body = {"prompt": text, "add_special_tokens": False}
        first[text] = client.post("../tokenize", body=body, cast_to=object)["tokens"][0]
    for seed in range(6):
        asked = {"tools": [tool], "response_format": form, "temperature": 1.5, "seed": seed}
        bias = {"logit_bias": {str(first["{" if seed % 2 else "<tool_call>"]): 100}}
        message = ask(client, **asked, **bias, parallel_tool_calls=False).choices[0].message
        if seed % 2:
            assert message.tool_calls is None
            assert Animal(**json.loads(message.content)).name in ("fox", "bear")
        else:
            assert {call.function.name for call in message.tool_calls} == {"get_weather"}
            assert not message.content
    call = ask(client, **asked, tool_choice="required").choices[0].message
    assert call.tool_calls


def test_the_clients_own_parsing(client: openai.OpenAI) -> None:
    class Size(BaseModel):
        big: bool

    answer = client.chat.completions.parse(model="default", messages=ASK, response_format=Size)
    assert isinstance(answer.choices[0].message.parsed, Size)


def test_any_object_and_other_grammars(client: openai.OpenAI) -> None:
    free = ask(client, response_format={"type": "json_object"}, max_tokens=60).choices[0]
    assert free.message.content.lstrip().startswith("{")
    grammar = {"type": "regex", "value": "(yes|no), [a-z]{3}"}
    text = ask(client, extra_body={"grammar": grammar}).choices[0].message.content
    assert text.partition(", ")[0] in ("yes", "no")
    done = client.completions.create(
        model="default", prompt="Once", max_tokens=30, extra_body={"grammar": grammar}
    )
    assert done.choices[0].text.partition(", ")[0] in ("yes", "no")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tool_choice": "required"}, "there are no tools"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are named 'get_weather'"),
        (
            {"tools": [STOP], "tool_choice": {"type": "function", "function": {"name": "no"}}},
            "tool_choice 'no' is no tool",
        ),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "there are no tools"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {
                "name": "x", "schema": {"type": "string", "format": "no such format"}}}},
            "format",
        ),
        (
            {"response_format": {"type": "json_object"},
             "extra_body": {"grammar": {"type": "regex", "value": "a"}}},
            "cannot be combined",
        ),
        ({"extra_body": {"grammar": {"type": "regex", "value": "("}}}, "regex"),
        (
            {"tools": [WEATHER], "tool_choice": "required",
             "extra_body": {"grammar": {"type": "regex", "value": "a"}}},
            "a regex grammar and tool calls that are made sure exclude each other",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        ask(client, **fields)
