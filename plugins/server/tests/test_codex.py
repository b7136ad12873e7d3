"""What Codex sends to /v1/responses, shortened, and namespaces with OpenAI's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .live_server import Live

SHELL = {
    "type": "function",
    "name": "shell_command",
    "description": "Runs a shell command and returns its output.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "string"}, "timeout_ms": {"type": "number"}},
        "required": ["command"],
        "additionalProperties": False,
    },
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
DOCS = {
    "type": "namespace",
    "name": "mcp__docs",
    "description": "Searches the documentation",
    "tools": [
        {
            "type": "function",
            "name": "search",
            "strict": True,
            "output_schema": {"type": "object"},
            "parameters": {
                "type": "object",
                "properties": {"words": {"enum": ["fox", "bear"]}},
                "required": ["words"],
                "additionalProperties": False,
            },
        }
    ],
}
OTHERS = [{"type": kind} for kind in ("web_search", "local_shell", "image_generation")]
LEFT_OUT = [f"tools[].type={kind}" for kind in
            ("custom", "web_search", "local_shell", "image_generation")]  # fmt: skip


def message(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


BEGUN = [
    message("developer", "<permissions instructions>Files may be read.</permissions instructions>"),
    message("user", "<environment_context>\n  <cwd>/src</cwd>\n</environment_context>"),
    message("user", "Hi"),
]
GOING_ON = [
    message("user", "Hi"),
    {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "b3BhcXVl"},
    {"type": "function_call", "name": "shell_command", "call_id": "call_1",
     "arguments": '{"command": "ls"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
    {"type": "custom_tool_call", "name": "apply_patch", "call_id": "call_2", "status": "completed",
     "input": "*** Begin Patch\n*** End Patch"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    {"type": "function_call", "name": "search", "namespace": "mcp__docs", "call_id": "call_3",
     "arguments": '{"words": "fox"}'},
    {"type": "function_call_output", "call_id": "call_3",
     "output": [{"type": "input_text", "text": "a fox"}]},
]  # fmt: skip


def asked(items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A request of the client's."""
    return {
        "model": "default",
        "instructions": "You help.",
        "input": items,
        "tools": [SHELL, PATCH, DOCS, *OTHERS],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "service_tier": "priority",
        "prompt_cache_key": "00000000-0000-7000-8000-000000000000",
        "text": {"verbosity": "low"},
        "client_metadata": {"x-codex-installation-id": "00000000-0000-4000-8000-000000000000"},
        "max_output_tokens": 8,
        **more,
    }


def events(live: Live, body: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Events of an answer, and the fields that it names."""
    with live.client() as client:
        answer = client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    lines = answer.text.splitlines()
    found = [json.loads(line.removeprefix("data: ")) for line in lines if line[:5] == "data:"]
    return found, answer.headers.get("x-tramontane-ignored")


@pytest.mark.parametrize("items", [BEGUN, GOING_ON])
def test_its_requests_are_answered(thinking: Live, items: list[dict[str, Any]]) -> None:
    found, ignored = events(thinking, asked(items))
    assert ignored == ", ".join(LEFT_OUT)
    assert found[0]["type"] == "response.created"
    assert found[-1]["type"] in ("response.completed", "response.incomplete")
    assert found[-1]["response"]["usage"]["output_tokens"] > 0
    names = [tool["name"] for tool in found[-1]["response"]["tools"]]
    assert names == ["shell_command", "mcp__docs"]


def test_its_probe_is_answered(live: Live) -> None:
    found, ignored = events(live, asked([], tools=[], generate=False))
    assert ignored == "generate"
    kinds = [event["type"] for event in found]
    assert kinds == ["response.created", "response.in_progress", "response.completed"]
    assert found[-1]["response"]["output"] == []


def test_calls_of_texts_are_shown_to_the_model_as_those_of_functions(thinking: Live) -> None:
    def count(items: list[dict[str, Any]]) -> int:
        with thinking.client() as client:
            answer = client.post("/v1/responses/input_tokens", json={"input": items})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["input_tokens"])

    call = {"type": "custom_tool_call", "name": "p", "call_id": "c", "input": "a\nb"}
    result = {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}
    same = {"type": "function_call", "name": "p", "call_id": "c",
            "arguments": '{"input": "a\\nb"}'}  # fmt: skip
    said = {"type": "function_call_output", "call_id": "c", "output": "done"}
    assert count([*BEGUN, call, result]) == count([*BEGUN, same, said]) > count(BEGUN)
    spaced = {"type": "function_call", "name": "p", "namespace": "n", "call_id": "c",
              "arguments": "{}"}  # fmt: skip
    full = {"type": "function_call", "name": "n__p", "call_id": "c", "arguments": "{}"}
    assert count([*BEGUN, spaced, said]) == count([*BEGUN, full, said])


@pytest.fixture
def client(thinking: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{thinking.url}/v1", api_key="x", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("stream", [False, True])
def test_a_namespace_is_told_apart_again(client: openai.OpenAI, stream: bool) -> None:
    given: dict[str, Any] = {
        "model": "default", "input": "Which animals?", "tools": [DOCS], "tool_choice": "required",
    }  # fmt: skip
    if stream:
        made = list(client.responses.create(**given, stream=True))
        added = next(event for event in made if event.type == "response.output_item.added")
        assert (added.item.namespace, added.item.name) == ("mcp__docs", "search")
        response = made[-1].response
    else:
        response = client.responses.create(**given)
    (call,) = response.output
    assert (call.type, call.namespace, call.name) == ("function_call", "mcp__docs", "search")
    assert json.loads(call.arguments)["words"] in ("fox", "bear")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "a fox"}
    again = client.responses.create(
        model="default", input=[result], previous_response_id=response.id, tools=[DOCS],
        max_output_tokens=2,
    )  # fmt: skip
    assert again.usage.input_tokens > response.usage.input_tokens


def test_functions_of_one_name_in_two_namespaces(client: openai.OpenAI) -> None:
    other = {**DOCS, "name": "mcp__web__"}
    for names in (["mcp__docs"], ["mcp__web__"]):
        tools = [one for one in (DOCS, other) if one["name"] in names]
        response = client.responses.create(
            model="default", input="Which?", tools=tools, tool_choice="required"
        )
        assert [item.namespace for item in response.output] == names
    with pytest.raises(openai.BadRequestError, match="two tools are named 'mcp__docs__search'"):
        client.responses.create(model="default", input="Which?", tools=[DOCS, DOCS])
