"""Responses that are streamed and made in the background, and read again from any event."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.openai.response_recording import Recording

from .live_server import Live

SHORT: dict[str, Any] = {"model": "default", "input": "Tell me a story", "max_output_tokens": 20}
ENDLESS: dict[str, Any] = {
    **SHORT, "max_output_tokens": 400, "extra_body": {"ignore_eos": True}, "background": True,
}  # fmt: skip


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as found:
        yield found


def test_a_stream_from_the_background_is_read_again(client: openai.OpenAI) -> None:
    events = list(client.responses.create(**SHORT, background=True, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    whole = client.responses.create(**SHORT)
    response = events[-1].response
    assert (response.output_text, response.status) == (whole.output_text, whole.status)
    assert response.background
    again = list(client.responses.retrieve(response.id, stream=True))
    assert again == events
    for number in (0, 5, len(events) - 1, 10_000):
        rest = client.responses.retrieve(response.id, stream=True, starting_after=number)
        assert list(rest) == events[number + 1 :]


def test_it_goes_on_without_its_client_and_is_taken_up_again(client: openai.OpenAI) -> None:
    with client.responses.create(**ENDLESS, stream=True) as stream:
        seen = [next(stream) for _ in range(6)]
    identity = seen[0].response.id
    rest = list(
        client.responses.retrieve(identity, stream=True, starting_after=seen[-1].sequence_number)
    )
    numbers = [event.sequence_number for event in [*seen, *rest]]
    assert numbers == list(range(len(numbers)))
    assert rest[-1].type == "response.incomplete"
    kept = client.responses.retrieve(identity)
    assert kept.output_text == rest[-1].response.output_text


def test_cancelled_it_ends(client: openai.OpenAI, live: Live) -> None:
    with client.responses.create(**ENDLESS, stream=True) as stream:
        identity = next(stream).response.id
        status = client.responses.cancel(identity).status
        last = [event.type for event in stream][-1]
    assert last == f"response.{status}"
    live.idle()


def test_what_is_refused(client: openai.OpenAI) -> None:
    plain = client.responses.create(**SHORT)
    with pytest.raises(openai.BadRequestError, match="was not created with background and"):
        client.responses.retrieve(plain.id, stream=True)
    with pytest.raises(openai.BadRequestError, match="starting_after requires stream"):
        client.responses.retrieve(plain.id, starting_after=1)  # type: ignore[call-overload]
    with pytest.raises(openai.BadRequestError, match="and the context 512"):
        client.responses.create(
            model="default", input="word " * 700, background=True, stream=True
        )  # fmt: skip


def test_what_to_include_is_taken_where_responses_are_read(client: openai.OpenAI) -> None:
    more: Any = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    response = client.responses.create(**SHORT, include=more[:1], top_logprobs=2)
    found = client.responses.with_raw_response.retrieve(response.id, include=more)
    assert "x-tramontane-ignored" not in found.headers
    assert len(found.parse().output[0].content[0].logprobs) == 20
    items = client.responses.input_items.with_raw_response.list(response.id, include=more)
    assert "x-tramontane-ignored" not in items.headers


def test_tokens_are_counted_as_they_are_read(client: openai.OpenAI) -> None:
    given: Any = {"model": "default", "input": "Tell me a story", "instructions": "Be brief"}
    count = client.responses.input_tokens.count(**given)
    response = client.responses.create(**given, max_output_tokens=2)
    assert (count.object, count.input_tokens) == (
        "response.input_tokens", response.usage.input_tokens,
    )  # fmt: skip
    chained = {"input": "Why?", "previous_response_id": response.id}
    more = client.responses.input_tokens.count(**chained).input_tokens
    asked = client.responses.create(model="default", **chained, max_output_tokens=1)
    assert more == asked.usage.input_tokens > count.input_tokens
    assert client.responses.input_tokens.count().input_tokens == 0


def test_compaction_is_refused_clearly(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="truncation=auto") as caught:
        client.responses.compact(model="default", input="Hi")
    assert caught.value.code == "compaction_not_supported"


def test_a_recording_is_read_by_several_at_their_own_pace() -> None:
    async def read(recording: Recording, number: int) -> bytes:
        return b"".join([found async for found in recording.after(number)])

    async def run() -> list[bytes]:
        recording = Recording()
        recording.add(b"a")
        readers = [asyncio.create_task(read(recording, number)) for number in (-1, 0, 1, 7)]
        for event in (b"b", b"c"):
            await asyncio.sleep(0)
            recording.add(event)
        recording.end()
        return [*await asyncio.gather(*readers), await read(recording, 0)]

    assert asyncio.run(run()) == [b"abc", b"bc", b"c", b"", b"bc"]


def test_the_oldest_events_are_dropped() -> None:
    async def run() -> list[bytes]:
        recording = Recording(max_bytes=5)
        grown = [recording.add(event) for event in (b"aa", b"bb", b"cc", b"dddddd")]
        assert grown == [2, 2, 0, 2]
        recording.end()
        with pytest.raises(ApiError, match="the events up to 2 are no longer stored"):
            await anext(recording.after(1))
        return [found async for found in recording.after(2)]

    assert asyncio.run(run()) == [b"dddddd"]
