"""What OpenAI's client gets from /v1/responses on a live server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .live_server import Live

SHORT: dict[str, Any] = {"model": "default", "input": "Tell me a story", "max_output_tokens": 20}


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none needed", max_retries=0) as found:
        yield found


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(**SHORT, metadata={"a": "b"}, user="someone")
    assert response.output_text.startswith("Once upon a time")
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 20)
    assert response.usage.total_tokens == 32
    assert response.id.startswith("resp_")
    assert (response.metadata, response.user) == ({"a": "b"}, "someone")
    whole = client.responses.create(model="default", input="Tell me a story")
    assert (whole.status, whole.output[0].status) == ("completed", "completed")
    assert whole.output_text.startswith(response.output_text)
    assert whole.completed_at >= whole.created_at


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_output_tokens": 400},
        {"temperature": 1.5, "top_p": 0.9, "extra_body": {"seed": 7, "top_k": 50}},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"extra_body": {"stop": [" cave"]}},
    ],
)
def test_a_stream_is_the_whole_response(client: openai.OpenAI, more: dict[str, Any]) -> None:
    asked = {**SHORT, **more}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(event.delta for event in deltas) == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1].response
    assert events[-1].type == f"response.{whole.status}"
    assert (last.output_text, last.status) == (whole.output_text, whole.status)
    assert last.usage.output_tokens == whole.usage.output_tokens
    assert last.output[0].content[0].logprobs == whole.output[0].content[0].logprobs
    assert bool(whole.output[0].content[0].logprobs) == ("include" in more)
    kinds = [event.type for event in events if event not in deltas]
    assert kinds == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", f"response.{whole.status}",
    ]  # fmt: skip
    for event in events[:2]:
        assert (event.response.status, event.response.output) == ("in_progress", [])
    assert events[-4].text == whole.output_text
    assert client.responses.retrieve(last.id).output_text == whole.output_text


def test_the_clients_own_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="default", input="Tell me a story") as stream:
        parts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(parts) == final.output_text
    assert final.status == "completed"


def test_the_async_client(live: Live) -> None:
    async def ask() -> tuple[str, str, str]:
        async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="x") as client:
            whole = await client.responses.create(**SHORT)
            stream = await client.responses.create(**SHORT, stream=True)
            parts = [e.delta async for e in stream if e.type == "response.output_text.delta"]
            again = await client.responses.retrieve(whole.id)
            return whole.output_text, "".join(parts), again.output_text

    whole, streamed, kept = asyncio.run(ask())
    assert whole == streamed == kept


def test_log_probabilities(client: openai.OpenAI) -> None:
    asked = {**SHORT, "max_output_tokens": 4, "top_logprobs": 3}
    entries = client.responses.create(**asked).output[0].content[0].logprobs
    assert len(entries) == 4
    for entry in entries:
        assert len(entry.top_logprobs) == 3
        assert entry.logprob <= entry.top_logprobs[0].logprob <= 0
        assert bytes(entry.bytes).decode() == entry.token


def test_items_and_instructions(client: openai.OpenAI) -> None:
    def tokens(**asked: Any) -> int:
        answer = client.responses.create(**{**SHORT, "max_output_tokens": 1, **asked})
        return int(answer.usage.input_tokens)

    plain = tokens()
    said = [{"role": "user", "content": [{"type": "input_text", "text": "Tell me a story"}]}]
    assert tokens(input=said) == plain
    ordered = tokens(instructions="Be brief")
    assert ordered > plain
    assert tokens(input=[{"role": "developer", "content": "Be brief"}, *said]) == ordered
    assert tokens(input=[{"type": "message", "role": "system", "content": "Be"}, *said]) < ordered
    first = client.responses.create(**SHORT)
    again = [*said, *first.output, {"role": "user", "content": "And then?"}]
    chained = tokens(input="And then?", previous_response_id=first.id)
    assert tokens(input=again) == chained


def test_a_long_conversation_loses_its_start_if_allowed(client: openai.OpenAI) -> None:
    turns: list[dict[str, str]] = []
    for _ in range(40):
        turns += [{"role": "user", "content": "Tell me about a bear and a fox"}]
        turns += [{"role": "assistant", "content": "They live in a wood"}]
    turns += [{"role": "user", "content": "Tell me a story"}]
    with pytest.raises(openai.BadRequestError, match="and the context 512"):
        client.responses.create(model="default", input=turns, truncation="disabled")
    cut = client.responses.create(
        model="default", input=turns, truncation="auto", max_output_tokens=60,
        instructions="Be brief",
    )  # fmt: skip
    assert 512 - 60 - 30 < cut.usage.input_tokens <= 512 - 60
    assert cut.usage.output_tokens == 60
    assert cut.truncation == "auto"
    with pytest.raises(openai.BadRequestError, match="and the context 512"):
        client.responses.create(model="default", input="word " * 700, truncation="auto")


def test_what_changes_nothing_is_taken(client: openai.OpenAI) -> None:
    response = client.responses.create(
        **SHORT,
        tools=[],
        tool_choice="auto",
        text={"format": {"type": "text"}, "verbosity": "medium"},
        reasoning={"effort": "none"},
        include=["reasoning.encrypted_content"],
        parallel_tool_calls=True,
        prompt_cache_key="key",
        prompt_cache_options={"mode": "implicit"},
        safety_identifier="someone",
        service_tier="auto",
        store=False,
        extra_body={"stream": False, "background": False, "previous_response_id": None},
    )
    assert response.output_text == client.responses.create(**SHORT).output_text
    assert response.reasoning.effort == "none"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tool_choice": "required"}, "there are no tools"),
        ({"max_tool_calls": 1}, "max_tool_calls is not supported"),
        ({"reasoning": {"summary": "detailed"}}, "summary is not supported"),
        ({"conversation": "c"}, "use previous_response_id"),
        ({"prompt": {"id": "p"}}, "prompt is not supported"),
        ({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options: prewarm"),
        ({"truncation": "middle"}, "'auto' or 'disabled'"),
        ({"max_output_tokens": 0}, "must be at least 1"),
        ({"include": ["everything"]}, "include.0"),
        ({"metadata": {"k": "x" * 513}}, "metadata.k"),
        ({"background": True, "store": False}, "background requires store"),
        ({"stream_options": {}}, "stream_options requires stream"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "the type of an item should be"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "image_url is req"),
        (
            {
                "input": [
                    {
                        "role": "assistant",
                        "content": [{"type": "input_image", "image_url": "data:image/png;base64,"}],
                    }
                ]
            },
            "image",
        ),
        ({"previous_response_id": "resp_x"}, "there is no response 'resp_x': the last"),
        ({"input": "word " * 700}, "and the context 512"),
        ({"input": "word " * 700, "stream": True}, "and the context 512"),
        ({"input": "word " * 700, "background": True}, "and the context 512"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    client: openai.OpenAI, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        client.post("/responses", body={**SHORT, **fields}, cast_to=object)
