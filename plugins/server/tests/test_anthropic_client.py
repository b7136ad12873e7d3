"""What Anthropic's own client gets from a live server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import pytest

from .live_server import Live

STORY = [{"role": "user", "content": "Tell me a story"}]
SHORT: dict[str, Any] = {"model": "default", "max_tokens": 20, "messages": STORY}


@pytest.fixture
def client(live: Live) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=live.url, api_key="none needed", max_retries=0) as found:
        yield found


def said(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content)


def test_a_message_is_answered(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**SHORT)
    assert said(message).startswith("Once upon a time")
    assert (message.type, message.role, message.model) == ("message", "assistant", "default")
    assert (message.stop_reason, message.stop_sequence) == ("max_tokens", None)
    assert message.id.startswith("msg_")
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) == 12
    assert message.usage.output_tokens == 20
    assert client.messages.create(**{**SHORT, "max_tokens": 400}).stop_reason == "end_turn"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stop_sequences": [" cave", " never"]},
        {"extra_body": {"temperature": 1.5, "top_p": 0.9, "top_k": 50, "seed": 7}},
        {"max_tokens": 400},
        {"max_tokens": 0},
        {"messages": [*STORY, {"role": "assistant", "content": "There was"}]},
    ],
)
def test_a_stream_is_the_whole_message(
    client: anthropic.Anthropic, more: dict[str, object]
) -> None:
    asked = {**SHORT, **more}
    whole = client.messages.create(**asked)
    raw = list(client.messages.create(**asked, stream=True))
    body = asked.pop("extra_body", None)
    with client.messages.stream(**asked, extra_body=body) as stream:
        texts = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert "".join(texts) == said(streamed) == said(whole)
    assert len(texts) == len([event for event in raw if event.type == "content_block_delta"])
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.stop_sequence == whole.stop_sequence
    for usage in (whole.usage, streamed.usage):
        assert usage.input_tokens + usage.cache_read_input_tokens >= 12
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    kinds = [event.type for event in raw if event.type != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"] if texts else []
    assert kinds == ["message_start", *block, "message_delta", "message_stop"]


def test_events_on_the_wire(live: Live) -> None:
    text = httpx.post(f"{live.url}/v1/messages", json={**SHORT, "stream": True}).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line[:6] == "event:"]
    assert names[:4] == ["message_start", "content_block_start", "ping", "content_block_delta"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_the_async_client(live: Live) -> None:
    async def ask() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=live.url, api_key="x") as client:
            whole = await client.messages.create(**SHORT)
            async with client.messages.stream(**SHORT) as stream:
                return said(whole), said(await stream.get_final_message())

    whole, streamed = asyncio.run(ask())
    assert whole == streamed
    assert whole.startswith("Once upon a time")


def test_stop_sequences(client: anthropic.Anthropic) -> None:
    whole = said(client.messages.create(**SHORT))
    cut = client.messages.create(**SHORT, stop_sequences=["xyz", " time"])
    assert said(cut) == whole.partition(" time")[0]
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", " time")


def test_the_context_ends_an_answer(client: anthropic.Anthropic) -> None:
    asked = {**SHORT, "max_tokens": 4000, "extra_body": {"ignore_eos": True}}
    assert client.messages.create(**asked).stop_reason == "model_context_window_exceeded"


def test_the_answer_goes_on_from_the_last_message(client: anthropic.Anthropic) -> None:
    whole = said(client.messages.create(**SHORT))
    begun, rest = "Once upon a time", whole.removeprefix("Once upon a time")
    turns = [*STORY, {"role": "assistant", "content": begun}]
    assert said(client.messages.create(**{**SHORT, "messages": turns})).startswith(rest)
    blocks = [{"type": "text", "text": "Once upon"}, {"type": "text", "text": " a time"}]
    turns[-1]["content"] = blocks  # type: ignore[assignment]
    assert said(client.messages.create(**{**SHORT, "messages": turns})).startswith(rest)


def test_conversations_are_counted_as_they_are_read(client: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}]
    turns = [
        *STORY,
        {"role": "assistant", "content": "A fox."},
        {"role": "user", "content": [{"type": "text", "text": "And?", "citations": None}]},
        {"role": "user", "content": "Well?"},
    ]
    asked: dict[str, Any] = {"model": "default", "system": system, "messages": turns}
    count = client.messages.count_tokens(**asked).input_tokens
    usage = client.messages.create(**asked, max_tokens=1).usage
    assert usage.input_tokens + usage.cache_read_input_tokens == count
    joined = {**asked, "messages": [*turns[:2], {"role": "user", "content": "And?\nWell?"}]}
    assert client.messages.count_tokens(**joined).input_tokens == count
    shorter = client.messages.count_tokens(**{**asked, "system": anthropic.NOT_GIVEN})
    assert shorter.input_tokens < count
    assert client.messages.count_tokens(**{**asked, "system": "Be brief"}).input_tokens == count


def test_a_known_prompt_is_read_from_the_cache(client: anthropic.Anthropic) -> None:
    text = "Tell me a story about a bear and a fox that live together. " * 3
    asked = {**SHORT, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    first, second = (client.messages.create(**asked).usage for _ in range(2))
    assert second.cache_read_input_tokens >= 32
    sums = {usage.input_tokens + usage.cache_read_input_tokens for usage in (first, second)}
    assert len(sums) == 1
    assert second.cache_creation_input_tokens == 0


def test_what_changes_nothing_is_taken(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        **SHORT,
        metadata={"user_id": "someone"},
        service_tier="auto",
        speed="standard",
        tools=[],
        tool_choice={"type": "none"},
        thinking={"type": "disabled"},
        cache_control={"type": "ephemeral", "ttl": "1h"},
        output_config={"effort": "low"},
    )
    assert said(message) == said(client.messages.create(**SHORT))


CALLED = [
    *STORY,
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}],
    },
]
IMAGE = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tool_choice": {"type": "any"}}, "there are no tools"),
        ({"thinking": {"type": "between_tools"}}, "disabled.*adaptive.*enabled"),
        ({"thinking": {"type": "enabled"}}, "budget_tokens.* is required"),
        ({"container": "c"}, "container is not supported"),
        ({"speed": "fast"}, "speed is not supported"),
        ({"inference_geo": "eu"}, "the model runs on this server"),
        ({"diagnostics": {"previous_message_id": "x"}}, "diagnostics is not supported"),
        ({"max_tokens": -1}, "must be at least 0"),
        ({"stop_sequences": [""]}, "at least 1"),
        ({"temperature": -1}, "temperature"),
        ({"thread": {"type": "create"}}, "thread=False"),
        ({"messages": []}, "messages"),
        ({"messages": IMAGE}, "takes text only"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "user.*assistant.*system"),
        ({"messages": CALLED}, "its tool_result is missing"),
        ({"messages": [{"role": "user", "content": "word " * 700}]}, "and the context 512"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_is_refused_by_name(
    client: anthropic.Anthropic, fields: dict[str, object], message: str, stream: bool
) -> None:
    body = {**SHORT, **fields, "stream": stream}
    with pytest.raises(anthropic.BadRequestError, match=message) as caught:
        client.post("/v1/messages", body=body, cast_to=object)
    assert caught.value.body["type"] == "error"  # type: ignore[call-overload, index]
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


def test_errors_have_their_own_kinds(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="there are: default") as caught:
        client.messages.create(**{**SHORT, "model": "claude-opus-4"})
    assert caught.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="max_tokens is required"):
        client.post("/v1/messages", body={"messages": STORY}, cast_to=object)


def test_requests_have_ids(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**SHORT, extra_headers={"x-request-id": "mine"})
    assert message._request_id == "mine"
