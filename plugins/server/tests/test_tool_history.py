"""Earlier calls of tools, told in three APIs' ways, are one conversation to a chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat import ChatTemplate
from tramontane_plugin_server.anthropic.message_request import CountRequest
from tramontane_plugin_server.anthropic.prompt import conversation as of_messages
from tramontane_plugin_server.openai.chat_request import ChatRequest
from tramontane_plugin_server.openai.response_prompt import conversation as of_items
from tramontane_plugin_server.openai.response_request import ResponseRequest

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "chat_templates" / "llama.cpp"
CALLS = [("c1", "weather", {"city": "Zürich"}), ("c2", "time", {})]
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "which tool",
        "tool_calls": [
            {
                "id": identity,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given, ensure_ascii=False)},
            }
            for identity, name, given in CALLS
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "rain"},
    {"role": "tool", "tool_call_id": "c2", "name": "time", "content": "Error: no clock"},
    {"role": "user", "content": "And so?"},
]


def messages() -> list[dict[str, Any]]:
    """As Anthropic has it."""
    answer: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "which tool", "signature": "s"},
        {"type": "text", "text": "I look."},
    ]
    answer += [
        {"type": "tool_use", "id": identity, "name": name, "input": given}
        for identity, name, given in CALLS
    ]
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "rain"}]},
        {"type": "tool_result", "tool_use_id": "c2", "content": "no clock", "is_error": True},
        {"type": "text", "text": "And so?", "cache_control": {"type": "ephemeral"}},
    ]
    return [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": results},
    ]


def items() -> list[dict[str, Any]]:
    """As OpenAI's responses have it."""
    return [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": "Weather?"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "which tool"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        *(
            {
                "type": "function_call",
                "call_id": identity,
                "name": name,
                "arguments": json.dumps(given, ensure_ascii=False),
            }
            for identity, name, given in CALLS
        ),
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "rain"}],
        },
        {"type": "function_call_output", "call_id": "c2", "output": "Error: no clock"},
        {"role": "user", "content": "And so?"},
    ]


def test_messages() -> None:
    asked = CountRequest.model_validate({"system": "Be brief", "messages": messages()})
    assert of_messages(asked) == CHAT


def test_items() -> None:
    asked = ResponseRequest.model_validate({"input": items()})
    first, rest = of_items(None, [item.item() for item in asked.input])
    assert [*first, *rest] == CHAT
    first, rest = of_items("Be kind", [item.item() for item in asked.input])
    assert [part["text"] for part in first[0]["content"]] == ["Be kind", "Be brief"]


def test_items_are_listed_as_they_came() -> None:
    asked = ResponseRequest.model_validate({"input": items()})
    listed = [item.item() for item in asked.input]
    again = ResponseRequest.model_validate({"input": listed})
    assert [item.item() for item in again.input] == listed
    assert all(item["id"] and item["status"] == "completed" for item in listed)


def test_a_call_without_words_and_thoughts_without_a_call() -> None:
    said = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "lost"}]},
        {"role": "user", "content": "y"},
    ]
    asked = ResponseRequest.model_validate({"input": said})
    _, rest = of_items(None, [item.item() for item in asked.input])
    assert [message["role"] for message in rest] == ["user", "assistant", "user"]
    assert (rest[1]["content"], rest[1]["reasoning_content"]) == ("", "hm")
    assert rest[1]["tool_calls"][0]["function"]["name"] == "f"
    assert rest[2] == {"role": "user", "content": "y"}


def test_neighbours_of_one_role_are_one_turn() -> None:
    asked = CountRequest.model_validate({
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": "d"},
            {"role": "system", "content": "e"},
        ]
    })  # fmt: skip
    texts = [
        (message["role"], [part["text"] for part in message["content"]])
        for message in of_messages(asked)[:2]
    ]
    assert texts == [("user", ["a", "b"]), ("assistant", ["c", "d"])]
    assert of_messages(asked)[2] == {"role": "system", "content": "e"}


TEMPLATE = (
    "{% for m in messages %}{{ m.role }}{{ '(' + m.name + ')' if m.name }}:{{ m.content }}"
    "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments|tojson }}{% endfor %}"
    ";{% endfor %}"
)
SENT_BACK: list[dict[str, Any]] = [
    {"role": "developer", "content": [{"type": "text", "text": "Be brief"}]},
    {"role": "user", "content": "time?"},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "now", "arguments": ""}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "12:00"}]},
]


def in_three_apis() -> dict[str, list[dict[str, Any]]]:
    """The same conversation, as an answer's own form is sent back in each."""
    part = {"type": "input_text", "text": "12:00"}
    first, rest = of_items(None, [item.item() for item in ResponseRequest.model_validate({
        "input": [
            {"role": "developer", "content": "Be brief"},
            {"role": "user", "content": "time?"},
            {"type": "function_call", "call_id": "c1", "name": "now", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": [part]},
        ]
    }).input])  # fmt: skip
    called = {"type": "tool_use", "id": "c1", "name": "now", "input": {}}
    said = {
        "type": "tool_result",
        "tool_use_id": "c1",
        "content": [{"type": "text", "text": "12:00"}],
    }
    return {
        "chat": ChatRequest.model_validate({"messages": SENT_BACK}).conversation(),
        "responses": [*first, *rest],
        "messages": of_messages(CountRequest.model_validate({
            "system": "Be brief",
            "messages": [
                {"role": "user", "content": "time?"},
                {"role": "assistant", "content": [called]},
                {"role": "user", "content": [said]},
            ],
        })),
        "Python": SENT_BACK,
    }  # fmt: skip


@pytest.mark.parametrize("api", ["chat", "responses", "messages", "Python"])
def test_an_answer_that_is_sent_back_is_one_prompt_in_all_apis(api: str) -> None:
    written = ChatTemplate(TEMPLATE, named={}).render(in_three_apis()[api])
    assert written == "system:Be brief;user:time?;assistant:now{};tool(now):12:00;"


@pytest.mark.parametrize("name", ["Qwen3-Coder", "Qwen-Qwen3-0.6B", "Qwen-Qwen2.5"])
def test_real_templates_write_them(name: str) -> None:
    paths = sorted(DATA.glob(f"{name}*.jinja"))
    if not paths:
        pytest.skip(f"{DATA} is not there")
    template = ChatTemplate(paths[0].read_text(), named={"bos_token": "<s>"})
    asked = CountRequest.model_validate({"system": "Be brief", "messages": messages()})
    written = template.render(of_messages(asked))
    for text in ("weather", "Zürich", "rain", "Error: no clock", "And so?"):
        assert text in written
