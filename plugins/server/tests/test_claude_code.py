"""What Claude Code and Anthropic's tool runner send to /v1/messages, shortened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool

from .live_server import Live

HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05",
    "x-app": "cli",
}
BILLING = "x-anthropic-billing-header: cc_version=2.1.177; cc_entrypoint=cli; cch={};"
KEPT = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
INSTRUCTIONS = "You tell short stories about animals to people who ask for them. " * 5
BASH = {
    "name": "Bash",
    "description": "Runs a command",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"command": {"type": "string"}, "timeout": {"type": "number"}},
        "required": ["command"],
        "additionalProperties": False,
    },
    "eager_input_streaming": True,
}
REMINDER = "<system-reminder>\nToday is a day.\n</system-reminder>"
ASK = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": REMINDER},
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        ],
    }
]
THOUGHT = {"type": "thinking", "thinking": "Which files are there?", "signature": "c2lnbmVk"}
CALLED = [
    *ASK,
    {
        "role": "assistant",
        "content": [
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            THOUGHT,
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "ls"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "toolu_01",
                "content": "a.txt\nb.txt",
                "is_error": False,
                "cache_control": {"type": "ephemeral"},
            }
        ],
    },
]


def asked(messages: list[dict[str, Any]], cch: str = "36ee5", **more: Any) -> dict[str, Any]:
    """A request of the client's."""
    return {
        "model": "default",
        "messages": messages,
        "system": [
            {"type": "text", "text": BILLING.format(cch)},
            {"type": "text", "text": INSTRUCTIONS, "cache_control": KEPT},
        ],
        "tools": [BASH],
        "metadata": {"user_id": json.dumps({"device_id": "0" * 64, "session_id": "1" * 36})},
        "max_tokens": 8,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
        **more,
    }


def events(live: Live, body: dict[str, Any]) -> list[dict[str, Any]]:
    with live.client(headers=HEADERS) as client:
        answer = client.post("/v1/messages?beta=true", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers.get("x-tramontane-ignored") == "system[].cache_control.scope"
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line[:5] == "data:"]


@pytest.mark.parametrize("messages", [ASK, CALLED])
def test_its_requests_are_answered(thinking: Live, messages: list[dict[str, Any]]) -> None:
    found = events(thinking, asked(messages))
    assert [event["type"] for event in found][0 :: len(found) - 1] == [
        "message_start",
        "message_stop",
    ]
    end = next(event for event in found if event["type"] == "message_delta")
    assert end["delta"]["stop_reason"] in ("max_tokens", "end_turn", "tool_use")
    assert end["context_management"] == {"applied_edits": []}


def test_a_line_for_the_billing_does_not_defeat_the_cache(thinking: Live) -> None:
    reads = []
    for cch in ("36ee5", "0aaa9"):
        end = events(thinking, asked(ASK, cch))[-2]
        reads.append((end["usage"]["cache_read_input_tokens"], end["usage"]["input_tokens"]))
    assert reads[1][0] > 100
    assert reads[1][1] < 20


@pytest.mark.parametrize(
    ("system", "left"),
    [
        (BILLING.format(1), None),
        (f"{BILLING.format(2)}\nBe brief", "Be brief"),
        ([{"type": "text", "text": BILLING.format(3)}], None),
        ([{"type": "text", "text": BILLING.format(4)}, {"type": "text", "text": "Be"}], "Be"),
        (f"Say {BILLING.format(5)}", f"Say {BILLING.format(5)}"),
    ],
)
def test_only_that_line_is_left_out(live: Live, system: Any, left: str | None) -> None:
    def count(**more: Any) -> int:
        body = {"messages": [{"role": "user", "content": "Hi"}], **more}
        with live.client() as client:
            return int(client.post("/v1/messages/count_tokens", json=body).json()["input_tokens"])

    assert count(system=system) == (count() if left is None else count(system=left))


# ---- what is cleared


def turn(number: int) -> list[dict[str, Any]]:
    """A question, thoughts about it, a call with its result, and an answer."""
    call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": f"a{number}.txt"}
    return [
        {"role": "user", "content": f"What is in {number}?"},
        {"role": "assistant", "content": [{**THOUGHT, "thinking": f"First {number}."}, call]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": [{**THOUGHT, "thinking": f"Then {number}."},
                                          {"type": "text", "text": "A file."}]},
    ]  # fmt: skip


TURNS = [*turn(1), *turn(2), *turn(3), {"role": "user", "content": "And?"}]
USES = {"type": "tool_uses", "value": 0}


def cleared(thoughts: set[int], results: set[int], inputs: bool = False) -> list[dict[str, Any]]:
    """TURNS, without some of what was thought and answered."""
    found = json.loads(json.dumps(TURNS))
    for number in range(1, 4):
        first = 4 * (number - 1)
        for message in found[first : first + 4]:
            if number in thoughts and isinstance(message["content"], list):
                message["content"] = [b for b in message["content"] if b["type"] != "thinking"]
        if number in results:
            found[first + 2]["content"][0]["content"] = "[cleared to make room]"
            if inputs:
                found[first + 1]["content"][-1]["input"] = {}
    return found


@pytest.mark.parametrize(
    ("edit", "same_as", "said"),
    [
        ({"type": "clear_thinking_20251015", "keep": {"type": "all"}}, cleared(set(), set()), {}),
        ({"type": "clear_thinking_20251015"}, cleared({1, 2}, set()),
         {"cleared_thinking_turns": 2}),
        ({"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 2.0}},
         cleared({1}, set()), {"cleared_thinking_turns": 1}),
        ({"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 3}},
         cleared(set(), set()), {}),
        ({"type": "clear_tool_uses_20250919"}, cleared(set(), set()), {}),
        ({"type": "clear_tool_uses_20250919", "trigger": USES}, cleared(set(), set()), {}),
        ({"type": "clear_tool_uses_20250919", "trigger": USES, "keep": {**USES, "value": 1}},
         cleared(set(), {1, 2}), {"cleared_tool_uses": 2}),
        ({"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 9},
          "keep": USES, "clear_tool_inputs": True}, cleared(set(), {1, 2, 3}, True),
         {"cleared_tool_uses": 3}),
        ({"type": "clear_tool_uses_20250919", "trigger": USES, "keep": USES,
          "exclude_tools": ["Bash"]}, cleared(set(), set()), {}),
        ({"type": "clear_tool_uses_20250919", "trigger": USES, "keep": USES,
          "clear_at_least": {"type": "input_tokens", "value": 10_000}}, cleared(set(), set()), {}),
    ],
)  # fmt: skip
def test_what_is_to_be_cleared_is(
    thinking: Live, edit: dict[str, Any], same_as: list[dict[str, Any]], said: dict[str, int]
) -> None:
    def count(messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        with thinking.client() as client:
            body = {"messages": messages, **more}
            answer = client.post("/v1/messages/count_tokens", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    edits = {"context_management": {"edits": [edit]}}
    plain, after = count(TURNS)["input_tokens"], count(same_as)["input_tokens"]
    assert count(TURNS, **edits) == {
        "input_tokens": after, "context_management": {"original_input_tokens": plain},
    }  # fmt: skip
    with anthropic.Anthropic(base_url=thinking.url, api_key="x", max_retries=0) as client:
        answer = client.beta.messages.create(
            model="default", max_tokens=2, messages=TURNS, **edits, betas=["context-management"]
        )  # type: ignore[call-overload]
    expected = {"type": edit["type"], **said, "cleared_input_tokens": plain - after}
    applied = [one.model_dump() for one in answer.context_management.applied_edits]
    assert applied == ([expected] if said else [])
    usage = answer.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == after


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"type": "compact_20260112"}, "an edit of type 'compact_20260112' is not supported"),
        ({"type": "clear_thinking_20251015", "keep": "some"}, "keep"),
        ({"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 0}},
         "must be at least 1"),
    ],
)  # fmt: skip
def test_other_edits_are_refused(thinking: Live, edit: dict[str, Any], said: str) -> None:
    body = {"messages": ASK, "max_tokens": 1, "context_management": {"edits": [edit]}}
    with (
        anthropic.Anthropic(base_url=thinking.url, api_key="x", max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError, match=said),
    ):
        client.post("/v1/messages", body=body, cast_to=object)


# ---- the tool runner


@beta_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


QUESTION: dict[str, Any] = {
    "model": "default",
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "What is the weather in Lisbon?"}],
}


@pytest.fixture
def client(live: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=live.url, api_key="x", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_runs(client: anthropic.Anthropic, stream: bool) -> None:
    runner = client.beta.messages.tool_runner(**QUESTION, tools=[get_weather], stream=stream)
    if stream:
        messages = [one.get_final_message() for one in runner]
    else:
        messages = list(runner)
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert "sunny in Lisbon" in messages[-1].content[0].text


def test_the_tool_runner_of_the_async_client(live: Live) -> None:
    async def ask() -> Any:
        async with anthropic.AsyncAnthropic(base_url=live.url, api_key="x") as client:
            runner = client.beta.messages.tool_runner(**QUESTION, tools=[weather])
            return await runner.until_done()

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    assert "sunny" in asyncio.run(ask()).content[0].text
