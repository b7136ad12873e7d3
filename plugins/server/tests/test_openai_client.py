"""What OpenAI's own client gets from a live server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from .live_server import Live

STORY = [{"role": "user", "content": "Tell me a story"}]


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none needed", max_retries=0) as found:
        yield found


def test_a_chat_is_answered(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="default", messages=STORY, max_tokens=12)
    assert answer.choices[0].message.content.startswith("Once upon a time")
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 24)
    whole = client.chat.completions.create(model="default", messages=STORY)
    assert whole.choices[0].finish_reason == "stop"


def test_a_stream_is_the_whole_answer(client: openai.OpenAI) -> None:
    asked = {"model": "default", "messages": STORY, "max_completion_tokens": 40}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_async_client(live: Live, client: openai.OpenAI) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="x") as other:
            asked = {"model": "default", "messages": STORY, "max_tokens": 20}
            whole = await other.chat.completions.create(**asked)
            stream = await other.chat.completions.create(**asked, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return whole.choices[0].message.content, "".join(parts)

    whole, streamed = asyncio.run(ask())
    assert whole == streamed
    assert whole.startswith("Once upon a time")


def test_seeds_answers_and_probabilities(client: openai.OpenAI) -> None:
    asked = {
        "model": "default", "messages": STORY, "max_tokens": 8, "temperature": 1.5, "n": 3,
        "logprobs": True, "top_logprobs": 2,
    }  # fmt: skip
    first = client.chat.completions.create(**asked, seed=7)
    again = client.chat.completions.create(**asked, seed=7)
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) > 1
    entry = first.choices[0].logprobs.content[0]
    assert len(entry.top_logprobs) == 2
    assert entry.logprob <= entry.top_logprobs[0].logprob <= 0
    assert bytes(entry.bytes).decode() == entry.token
    streamed = {0: "", 1: "", 2: ""}
    probabilities: list[float] = []
    for chunk in client.chat.completions.create(**asked, seed=7, stream=True):
        choice = chunk.choices[0]
        streamed[choice.index] += choice.delta.content or ""
        if choice.index == 0 and choice.logprobs:
            probabilities += [entry.logprob for entry in choice.logprobs.content]
    assert list(streamed.values()) == texts
    assert probabilities == [entry.logprob for entry in first.choices[0].logprobs.content]


def test_stop_bias_and_cached_tokens(client: openai.OpenAI) -> None:
    asked = {"model": "default", "messages": STORY, "max_tokens": 30}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    cut = client.chat.completions.create(**asked, stop=[" time"]).choices[0]
    assert cut.message.content == whole.partition(" time")[0]
    assert cut.finish_reason == "stop"
    (once,) = client.completions.create(model="default", prompt="x", max_tokens=1).choices
    assert once.text
    long = [{"role": "user", "content": "Tell me a story about a fox and a bear " * 3}]
    for expected in (0, 32):
        answer = client.chat.completions.create(model="default", messages=long, max_tokens=1)
        assert answer.usage.prompt_tokens_details.cached_tokens >= expected


def test_completions(client: openai.OpenAI) -> None:
    first, second = client.completions.create(
        model="default", prompt=["Once upon", "The end"], max_tokens=4, echo=True, logprobs=1
    ).choices
    assert first.text.startswith("Once upon a time")
    assert second.text.startswith("The end")
    assert "".join(first.logprobs.tokens) == first.text
    assert first.logprobs.token_logprobs[0] is None
    assert first.logprobs.text_offset[1] == len(first.logprobs.tokens[0])
    stream = client.completions.create(
        model="default", prompt=["Once upon", "The end"], max_tokens=4, echo=True, stream=True
    )
    texts = {0: "", 1: ""}
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert list(texts.values()) == [first.text, second.text]


def test_completions_of_tokens_and_the_best_of_several(client: openai.OpenAI) -> None:
    tokens = client.post("/../tokenize", body={"prompt": "Once upon"}, cast_to=dict)["tokens"]
    asked = {"model": "default", "max_tokens": 6}
    by_text = client.completions.create(**asked, prompt="Once upon").choices[0].text
    assert client.completions.create(**asked, prompt=tokens).choices[0].text == by_text
    assert client.completions.create(**asked, prompt=[tokens]).choices[0].text == by_text
    drawn = {**asked, "temperature": 2.0, "seed": 1, "logprobs": 0, "prompt": "Once"}
    every = client.completions.create(**drawn, n=5).choices
    (best,) = client.completions.create(**drawn, best_of=5).choices
    means = {c.text: sum(c.logprobs.token_logprobs) / len(c.logprobs.tokens) for c in every}
    assert best.text == max(means, key=lambda text: means[text])


def test_prompt_probabilities_by_token(client: openai.OpenAI) -> None:
    (choice,) = client.completions.create(
        model="default", prompt="Once upon a time", max_tokens=0, extra_body={"prompt_logprobs": 1}
    ).choices
    first, *others = choice.prompt_logprobs
    assert first is None
    assert [next(iter(entry.values()))["decoded_token"] for entry in others] == [
        " upon",
        " a",
        " time",
    ]


def test_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("default", "tramontane")
    assert client.models.retrieve("default").max_model_len == 512  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "said", "param"),
    [
        ({"temperature": -1}, "must be at least 0", "temperature"),
        ({"n": 100}, "n=100: this server gives at most 16", "n"),
        (
            {"extra_body": {"web_search_options": {}}},
            "this server has no web search",
            "web_search_options",
        ),
        ({"extra_body": {"store": True}}, "only /v1/responses stores", "store"),
        ({"top_logprobs": 2}, "requires logprobs=true", "top_logprobs"),
        ({"stop": ["x" * 2000]}, "at most 1024", None),
        ({"extra_body": {"chat_template_kwargs": {"messages": []}}}, "cannot set messages", None),
        ({"max_tokens": 3, "max_completion_tokens": 3}, "mean the same", "max_tokens"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, "the context 512", None),
        ({"messages": [{"role": "user"}]}, "has no content", None),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "takes text only", None,
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(
    client: openai.OpenAI, fields: dict[str, object], said: str, param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        client.chat.completions.create(**{"model": "default", "messages": STORY, **fields})
    if param is not None:
        assert caught.value.param == param


def test_errors_of_the_api_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there are: default"):
        client.chat.completions.create(model="gpt-4o", messages=STORY)
    with pytest.raises(openai.BadRequestError, match=r"texts\[0\] is empty"):
        client.embeddings.create(model="default", input=" ")
    with pytest.raises(openai.BadRequestError, match="the context 512"):
        list(
            client.chat.completions.create(
                model="default", messages=[{"role": "user", "content": "word " * 900}], stream=True
            )
        )
