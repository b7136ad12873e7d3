"""The bytes beside log-probabilities are the tokens' own: joined, they are the answer's UTF-8."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .live_server import Live

# three characters of which each takes several of the embedded model's tokens
TEXT = "\u00e9\u65e5\U0001f680"
GRAMMAR = {"grammar": {"type": "regex", "value": TEXT}}
ASKED: dict[str, Any] = {"model": "default", "extra_body": GRAMMAR, "temperature": 0}
CHAT: dict[str, Any] = {
    **ASKED, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 12, "logprobs": True,
    "top_logprobs": 2,
}  # fmt: skip


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def check(entries: list[Any]) -> None:
    assert len(entries) > len(TEXT)
    assert bytes([byte for entry in entries for byte in entry.bytes]) == TEXT.encode()
    for entry in entries:
        assert len(entry.top_logprobs) == 2
        for one in (entry, *entry.top_logprobs):
            assert bytes(one.bytes).decode("utf-8", "replace") == one.token


def test_chat(client: openai.OpenAI) -> None:
    choice = client.chat.completions.create(**CHAT).choices[0]
    assert choice.message.content == TEXT
    check(choice.logprobs.content[: len(TEXT.encode())])


def test_chat_streamed(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(**CHAT, stream=True)
    found = [c.choices[0].logprobs for c in chunks if c.choices]
    entries = [entry for one in found if one for entry in one.content]
    check(entries[: len(TEXT.encode())])


@pytest.mark.parametrize("stream", [False, True])
def test_responses(client: openai.OpenAI, stream: bool) -> None:
    asked = {**ASKED, "input": "hi", "max_output_tokens": 16, "top_logprobs": 2}
    answer = client.responses.create(**asked, stream=stream)
    if stream:
        (answer,) = (e.response for e in answer if e.type == "response.completed")
    part = answer.output[0].content[0]
    assert part.text == TEXT
    check(part.logprobs[: len(TEXT.encode())])
