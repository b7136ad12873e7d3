"""What OpenAI's clients make of a response's events is the response: reasoning, text, calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .live_server import Live

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "name": "weather", "parameters": CITY, "strict": False}
CALL = (
    r'<tool_call>\{"name": "weather", "arguments": \{"city": "(Oslo|Rome)", "n": [1-9]\}\}'
    "</tool_call>"
)
LONG = CALL.replace("(Oslo|Rome)", "[a-z]{200}")
CASES: dict[str, dict[str, Any]] = {
    "all": {"grammar": f"<think>[a-z ]{{5,30}}</think>[A-Z][a-z]{{4,9}}\\.{CALL}\n{CALL}"},
    "calls": {"grammar": f"{CALL}\n{CALL}\n{CALL}"},
    "thought and call": {"grammar": f"<think>[a-z]{{9}}</think>{CALL}"},
    "thought and text": {"grammar": "<think>\n[a-z]{9} [a-z]\n</think>\n\n[a-z]{9}"},
    "text and call": {"grammar": f"[A-Z][a-z]{{9}}\n\n{CALL}"},
    "cut in a call": {"grammar": f"[a-z]{{9}}{LONG}", "max_output_tokens": 40},
    "cut in a thought": {"reasoning": {"effort": "high"}, "max_output_tokens": 12},
    "broken call": {"grammar": r'<tool_call>\{"name": "weather", "arguments": \[1\]\}</tool_call>'},
    "text": {},
}
KINDS = {
    "all": ["reasoning", "message", "function_call", "function_call"],
    "calls": ["function_call"] * 3,
    "thought and call": ["reasoning", "function_call"],
    "thought and text": ["reasoning", "message"],
    "text and call": ["message", "function_call"],
    "cut in a call": ["message", "function_call"],
    "cut in a thought": ["reasoning"],
    "broken call": ["message"],
    "text": ["message"],
}


@pytest.fixture
def client(thinking: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{thinking.url}/v1", api_key="x", max_retries=0) as found:
        yield found


def fields(case: str) -> dict[str, Any]:
    given = dict(CASES[case])
    more: dict[str, Any] = {"seed": 5}
    if case == "cut in a thought":
        more["ignore_eos"] = True  # it must not end by itself before
    if "grammar" in given:
        more["grammar"] = {"type": "regex", "value": given.pop("grammar")}
    return {
        "model": "default", "input": "And?", "tools": [TOOL], "temperature": 1.2,
        "max_output_tokens": 300, "extra_body": more, **given,
    }  # fmt: skip


def plain(response: Any) -> list[dict[str, Any]]:
    """What was said, without ids."""
    items: list[dict[str, Any]] = response.model_dump()["output"]
    return [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in items]


@pytest.mark.parametrize("case", CASES)
def test_events_tell_the_response(client: openai.OpenAI, case: str) -> None:
    asked = fields(case)
    whole = client.responses.create(**asked)
    assert [item.type for item in whole.output] == KINDS[case]
    assert whole.status == ("incomplete" if case.startswith("cut") else "completed")
    events = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1].response
    assert events[-1].type == f"response.{whole.status}"
    assert plain(last) == plain(whole)
    assert last.usage == whole.usage.model_copy(
        update={"input_tokens_details": last.usage.input_tokens_details}
    )
    for index, item in enumerate(last.output):
        of_item = [e for e in events if getattr(e, "output_index", None) == index]
        added, done = of_item[0], of_item[-1]
        assert (added.type, done.type) == (
            "response.output_item.added", "response.output_item.done",
        )  # fmt: skip
        assert added.item.status == "in_progress"
        assert done.item == item
        ids = {e.item_id for e in of_item[1:-1]}
        assert ids <= {item.id}
        text = "".join(e.delta for e in of_item if e.type.endswith(".delta"))
        ends = [e for e in of_item if e.type.endswith((".arguments.done", "_text.done"))]
        said = item.arguments if item.type == "function_call" else item.content[0].text
        assert text == said
        assert [getattr(e, "arguments", None) or e.text for e in ends if said] == [said] * len(ends)
    order = [e.output_index for e in events if hasattr(e, "output_index")]
    assert order == sorted(order)


@pytest.mark.parametrize("case", CASES)
def test_the_clients_own_stream(client: openai.OpenAI, case: str) -> None:
    """It checks each event against what it has put together itself."""
    asked = fields(case)
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        snapshots = [e.snapshot for e in stream if e.type.endswith("arguments.delta")]
        if whole.status != "completed":
            return
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [one.type for one in final.output] == KINDS[case]
    for call in calls:
        assert call.arguments in snapshots
    assert final.output_text == whole.output_text


@pytest.mark.parametrize("stream", [False, True])
def test_one_call_at_a_time(client: openai.OpenAI, stream: bool) -> None:
    asked = {**fields("calls"), "parallel_tool_calls": False}
    found = client.responses.create(**asked, stream=stream)
    response = list(found)[-1].response if stream else found
    several = client.responses.create(**fields("calls"))
    assert [item["arguments"] for item in plain(response)] == [several.output[0].arguments]


def test_the_async_client(thinking: Live) -> None:
    asked = fields("all")

    async def ask() -> tuple[Any, Any]:
        async with openai.AsyncOpenAI(base_url=f"{thinking.url}/v1", api_key="x") as client:
            whole = await client.responses.create(**asked)
            events = [e async for e in await client.responses.create(**asked, stream=True)]
            return whole, events[-1].response

    whole, streamed = asyncio.run(ask())
    assert plain(whole) == plain(streamed)


def test_reasoning_is_counted_and_goes_back(client: openai.OpenAI) -> None:
    asked = fields("thought and text")
    first = client.responses.create(**asked)
    thought, message = first.output
    assert thought.content[0].type == "reasoning_text"
    assert thought.summary == []
    spent = first.usage.output_tokens_details.reasoning_tokens
    assert 0 < spent < first.usage.output_tokens
    more = {"model": "default", "max_output_tokens": 3, "tools": [TOOL]}
    chained = client.responses.create(**more, input="So?", previous_response_id=first.id)
    turns = [{"role": "user", "content": "And?"}, thought, message]
    turns = [*turns, {"role": "user", "content": "So?"}]
    told = client.responses.create(**more, input=turns)
    assert told.usage.input_tokens == chained.usage.input_tokens
    without = client.responses.create(**more, input=[turns[0], *turns[2:]])
    assert without.usage.input_tokens < told.usage.input_tokens


def test_effort_turns_thinking_on(client: openai.OpenAI) -> None:
    asked = fields("cut in a thought")
    found = client.responses.create(**asked)
    assert found.usage.output_tokens_details.reasoning_tokens > 0
    assert found.output_text == ""
    off = client.responses.create(**{**asked, "reasoning": {"effort": "none"}})
    assert [item.type for item in off.output] == ["message"]
    assert off.usage.output_tokens_details.reasoning_tokens == 0


def test_probabilities_are_those_of_the_text(client: openai.OpenAI) -> None:
    asked = {**fields("thought and text"), "include": ["message.output_text.logprobs"]}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    entries = whole.output[1].content[0].logprobs
    said = "".join(entry.token for entry in entries).strip()
    assert said.removesuffix("<|im_end|>") == whole.output_text
    told = [e.logprobs for e in events if e.type == "response.output_text.delta"]
    tokens = [entry.token for entries in told for entry in entries]
    assert tokens == [entry.token for entry in entries]
