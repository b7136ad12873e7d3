"""Structured output over HTTP: forced calls, grammars as strings, and trouble on the way."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from tramontane_plugin_server.openai.response_request import ResponseRequest

from .live_server import Live

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "warm": {"type": "boolean"}},
    "required": ["city", "warm"],
}
ABOUT = {"name": "City", "description": "a city"}
QUESTION = "Weather in Lisbon?"
CHAT = [{"role": "user", "content": QUESTION}]
COSTLY = r"start: A" "\n" r"A: /(?:\S+\s+){0,99}\S+/ & /(?s:.{1,5000})/"


def post(live: Live, path: str, **body: Any) -> Any:
    with live.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def chat(live: Live, choice: Any) -> str:
    tools = [{"type": "function", "function": {**ABOUT, "parameters": SCHEMA}}]
    body = post(live, "/v1/chat/completions", messages=CHAT, tools=tools, temperature=0,
                tool_choice=choice)  # fmt: skip
    return str(body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])


def messages(live: Live, choice: Any) -> str:
    body = post(live, "/v1/messages", messages=CHAT, tools=[{**ABOUT, "input_schema": SCHEMA}],
                max_tokens=200, temperature=0, tool_choice=choice)  # fmt: skip
    return json.dumps(next(b["input"] for b in body["content"] if b["type"] == "tool_use"))


def responses(live: Live, choice: Any) -> str:
    tools = [{"type": "function", **ABOUT, "parameters": SCHEMA}]
    body = post(live, "/v1/responses", input=QUESTION, tools=tools, temperature=0,
                tool_choice=choice)  # fmt: skip
    return str(next(i["arguments"] for i in body["output"] if i["type"] == "function_call"))


@pytest.mark.parametrize(
    ("ask", "choice"),
    [
        (chat, "required"),
        (chat, {"type": "function", "function": {"name": "City"}}),
        (messages, {"type": "any"}),
        (messages, {"type": "tool", "name": "City"}),
        (responses, "required"),
        (responses, {"type": "function", "name": "City"}),
    ],
)
def test_a_forced_call_keeps_to_its_parameters(live: Live, ask: Any, choice: Any) -> None:
    jsonschema.validate(json.loads(ask(live, choice)), SCHEMA)


@pytest.mark.parametrize(
    ("strict", "found"), [({}, (False, True)), ({"strict": None}, (False, True)),
                          ({"strict": True}, (True, False)), ({"strict": False}, (False, False))]
)  # fmt: skip
def test_functions_of_responses_are_strict_unless_they_say_no(
    strict: dict[str, Any], found: tuple[bool, bool]
) -> None:
    tool = {"type": "function", **ABOUT, "parameters": SCHEMA, **strict}
    (made,) = ResponseRequest.model_validate({"input": "x", "tools": [tool]}).client_tools()
    assert (made.strict, made.bound) == found


def test_a_grammar_may_be_a_string(live: Live) -> None:
    body = post(live, "/v1/completions", prompt="x", max_tokens=30,
                grammar='root ::= ("yes" | "no") " " [0-9]{2}')  # fmt: skip
    choice = body["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert re.fullmatch("(yes|no) [0-9]{2}", choice["text"])


def test_a_grammar_of_another_kind_says_which_there_are(live: Live) -> None:
    with live.client() as client:
        answer = client.post("/v1/completions", json={"prompt": "x", "grammar": {"type": "bnf"}})
    assert answer.status_code == 400
    assert "'gbnf'" in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_trouble_on_the_way_is_the_request_s_in_one_line(live: Live, stream: bool) -> None:
    with live.client() as client:
        answer = client.post("/v1/completions", json={
            "prompt": "x", "max_tokens": 50, "seed": 1, "stream": stream,
            "grammar": {"type": "lark", "value": COSTLY},
        })  # fmt: skip
    assert stream or answer.status_code == 400
    assert "invalid_request_error" in answer.text
    assert "the grammar is too costly to follow here" in answer.text
    assert "backtrace" not in answer.text
    assert "state>" not in answer.text
