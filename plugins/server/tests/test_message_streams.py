"""What Anthropic's clients make of a message's events is the message: thinking, text, calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .live_server import Live

TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {}}}}
CALL = (
    r'<tool_call>\{"name": "weather", "arguments": \{"city": "(Oslo|Rome)", "n": [1-9]\}\}'
    "</tool_call>"
)
ADAPTIVE = {"type": "adaptive"}
LONG = CALL.replace("(Oslo|Rome)", "[a-z]{200}")
CASES: dict[str, dict[str, Any]] = {
    "all": {"grammar": f"<think>[a-z ]{{5,30}}</think>[A-Z][a-z]{{4,9}}\\.{CALL}\n{CALL}"},
    "calls": {"grammar": f"{CALL}\n{CALL}\n{CALL}"},
    "thought and call": {"grammar": f"<think>[a-z]{{9}}</think>{CALL}"},
    "thought and text": {"grammar": "<think>\n[a-z]{9} [a-z]\n</think>\n\n[a-z]{9}"},
    "text and call": {"grammar": f"[A-Z][a-z]{{9}}\n\n{CALL}"},
    "cut in a call": {"grammar": f"[a-z]{{9}}{LONG}", "max_tokens": 40},
    "cut in a thought": {"thinking": ADAPTIVE, "max_tokens": 12},
    "within a budget": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 12},
    "nothing": {"max_tokens": 0},
    "text": {},
}
KINDS = {
    "all": ["thinking", "text", "tool_use", "tool_use"],
    "calls": ["tool_use"] * 3,
    "thought and call": ["thinking", "tool_use"],
    "thought and text": ["thinking", "text"],
    "text and call": ["text", "tool_use"],
    "cut in a call": ["text", "tool_use"],
    "cut in a thought": ["thinking"],
    "within a budget": ["thinking"],
    "nothing": [],
    "text": ["text"],
}


@pytest.fixture
def client(thinking: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=thinking.url, api_key="x", max_retries=0) as found:
        yield found


def fields(case: str) -> dict[str, Any]:
    given = dict(CASES[case])
    more: dict[str, Any] = {"seed": 5, "temperature": 1.2}
    if case in ("cut in a thought", "within a budget"):
        more["ignore_eos"] = True  # it must not end by itself before
    if "grammar" in given:
        more["grammar"] = {"type": "regex", "value": given.pop("grammar")}
    return {
        "model": "default", "messages": [{"role": "user", "content": "And?"}], "tools": [TOOL],
        "max_tokens": 300, "extra_body": more, **given,
    }  # fmt: skip


def plain(message: Any) -> list[dict[str, Any]]:
    """What was said, without ids."""
    blocks = [block.model_dump(exclude_none=True) for block in message.content]
    return [{k: v for k, v in block.items() if k != "id"} for block in blocks]


@pytest.mark.parametrize("case", CASES)
def test_events_tell_the_message(client: anthropic.Anthropic, case: str) -> None:
    asked = fields(case)
    whole = client.messages.create(**asked)
    assert [block.type for block in whole.content] == KINDS[case]
    cut = "max_tokens" in CASES[case]
    called = "tool_use" in KINDS[case]
    expected = "max_tokens" if cut else "tool_use" if called else "end_turn"
    assert whole.stop_reason == expected
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    assert plain(streamed) == plain(whole)
    assert (streamed.stop_reason, streamed.stop_sequence) == (whole.stop_reason, None)
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    events: list[Any] = list(client.messages.create(**asked, stream=True))
    inner = [event for event in events if event.type.startswith("content_block_")]
    order = [event.index for event in inner]
    assert order == sorted(order)
    for index, block in enumerate(streamed.content):
        first, *pieces, last = [event for event in inner if event.index == index]
        assert (first.type, last.type) == ("content_block_start", "content_block_stop")
        assert first.content_block.type == block.type
        kind = {"text": "text_delta", "tool_use": "input_json_delta"}.get(
            block.type, "thinking_delta"
        )
        assert pieces
        assert {piece.delta.type for piece in pieces} == {kind}


def test_a_cut_call_has_what_was_said(client: anthropic.Anthropic) -> None:
    found = client.messages.create(**fields("cut in a call"))
    call = found.content[-1]
    assert call.type == "tool_use"
    assert set(call.input) <= {"city", "n"}


def test_one_call_at_a_time(client: anthropic.Anthropic) -> None:
    choice: Any = {"type": "auto", "disable_parallel_tool_use": True}
    asked = {**fields("calls"), "tool_choice": choice}
    found = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        assert plain(stream.get_final_message()) == plain(found)
    assert plain(found) == plain(client.messages.create(**fields("calls")))[:1]


def test_the_async_client(thinking: Live) -> None:
    asked = fields("all")

    async def ask() -> tuple[Any, Any]:
        async with anthropic.AsyncAnthropic(base_url=thinking.url, api_key="x") as client:
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                return whole, await stream.get_final_message()

    whole, streamed = asyncio.run(ask())
    assert plain(whole) == plain(streamed)


@pytest.mark.parametrize("display", ["summarized", "omitted"])
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_or_not(client: anthropic.Anthropic, display: str, stream: bool) -> None:
    asked = fields("cut in a thought") | {"thinking": {**ADAPTIVE, "display": display}}
    if stream:
        with client.messages.stream(**asked) as answer:
            found: Any = answer.get_final_message()
    else:
        found = client.messages.create(**asked)
    (block,) = found.content
    assert (block.type, block.signature) == ("thinking", "")
    assert bool(block.thinking) == (display == "summarized")
    assert found.usage.output_tokens == 12


def test_thinking_is_turned_off(client: anthropic.Anthropic) -> None:
    asked = fields("cut in a thought")
    on = client.messages.create(**asked)
    off = client.messages.create(**{**asked, "thinking": {"type": "disabled"}})
    assert [block.type for block in off.content] == ["text"]
    assert on.usage.input_tokens + on.usage.cache_read_input_tokens > (
        off.usage.input_tokens + off.usage.cache_read_input_tokens
    )


def test_blocks_go_back(client: anthropic.Anthropic) -> None:
    """Just as they came, from the client's own objects."""
    first = client.messages.create(**fields("all"))
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content
        if block.type == "tool_use"
    ]
    turns: list[Any] = [
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    asked: dict[str, Any] = {"model": "default", "tools": [TOOL]}
    count = client.messages.count_tokens(**asked, messages=turns).input_tokens
    turns[1] = {"role": "assistant", "content": first.content[1:]}
    assert client.messages.count_tokens(**asked, messages=turns).input_tokens < count
    turns[1] = {"role": "assistant", "content": first.content}
    assert client.messages.create(**asked, messages=turns, max_tokens=4).usage.output_tokens == 4
