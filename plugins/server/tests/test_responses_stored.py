"""Responses that outlive their requests: chains, the background, deletion, a full store."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.openai.response_request import ResponseRequest
from tramontane_plugin_server.openai.response_state import ResponseState
from tramontane_plugin_server.openai.response_store import ResponseStore

from .live_server import Live, serving

SHORT: dict[str, Any] = {"model": "default", "max_output_tokens": 8}
ENDLESS: dict[str, Any] = {
    "model": "default", "input": "Tell me a story", "background": True,
    "extra_body": {"ignore_eos": True},
}  # fmt: skip


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none needed", max_retries=0) as found:
        yield found


def ended(client: openai.OpenAI, identity: str) -> Any:
    """A response once it is there."""
    end = time.monotonic() + 60
    while True:
        response = client.responses.retrieve(identity)
        if response.status not in ("queued", "in_progress"):
            return response
        assert response.output == []
        assert time.monotonic() < end, "a background response never ends"


def test_a_chain_is_the_conversation(client: openai.OpenAI) -> None:
    first = client.responses.create(**SHORT, input="Tell me a story", instructions="Be brief")
    second = client.responses.create(**SHORT, input="And then?", previous_response_id=first.id)
    third = client.responses.create(**SHORT, input="Why?", previous_response_id=second.id)
    turns = [
        {"role": "user", "content": "Tell me a story"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": second.output_text},
        {"role": "user", "content": "Why?"},
    ]
    chat = client.chat.completions.create(model="default", messages=turns, max_tokens=8)
    assert chat.choices[0].message.content == third.output_text
    assert chat.usage.prompt_tokens == third.usage.input_tokens
    assert third.previous_response_id == second.id
    fork = client.responses.create(**SHORT, input="And then?", previous_response_id=first.id)
    assert fork.output_text == second.output_text
    items = list(client.responses.input_items.list(third.id, order="asc"))
    assert [(item.role, item.content[0].text) for item in items] == [
        (turn["role"], turn["content"]) for turn in turns
    ]


def test_input_items_come_in_pages(client: openai.OpenAI) -> None:
    said = [{"role": "user", "content": f"number {i}", "id": f"msg_{i}"} for i in range(5)]
    response = client.responses.create(**SHORT, input=said)
    page = client.responses.input_items.list(response.id, limit=2)
    assert [item.id for item in page.data] == ["msg_4", "msg_3"]
    assert [item.id for item in page] == [f"msg_{i}" for i in (4, 3, 2, 1, 0)]
    after = client.responses.input_items.list(response.id, order="asc", after="msg_3")
    assert [item.id for item in after] == ["msg_4"]
    for bad in ({"after": "msg_9"}, {"limit": 0}, {"limit": 101}):
        with pytest.raises(openai.BadRequestError):
            client.responses.input_items.list(response.id, **bad)


def test_the_background(client: openai.OpenAI) -> None:
    begun = client.responses.create(model="default", input="Tell me a story", background=True)
    assert begun.status in ("queued", "in_progress")
    assert begun.background
    response = ended(client, begun.id)
    assert response.status == "completed"
    whole = client.responses.create(model="default", input="Tell me a story")
    assert response.output_text == whole.output_text
    assert response.usage.output_tokens == whole.usage.output_tokens
    chained = client.responses.create(**SHORT, input="Why?", previous_response_id=begun.id)
    assert chained.usage.input_tokens > response.usage.output_tokens


def test_the_background_goes_on_without_its_client(live: Live) -> None:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x") as client:
        begun = client.responses.create(**ENDLESS)
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x") as other:
        assert ended(other, begun.id).status == "incomplete"


def test_cancel(client: openai.OpenAI, live: Live) -> None:
    for _ in range(20):  # one may be too quick
        begun = client.responses.create(**ENDLESS)
        cancelled = client.responses.cancel(begun.id)
        live.idle()
        if cancelled.status == "cancelled":
            break
    assert cancelled.status == "cancelled"
    assert cancelled.usage is None
    assert client.responses.retrieve(begun.id).output_text == cancelled.output_text
    assert client.responses.cancel(begun.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.responses.create(**SHORT, input="Why?", previous_response_id=begun.id)
    done = client.responses.create(**SHORT, input="Tell me a story")
    with pytest.raises(openai.BadRequestError, match="is no background response"):
        client.responses.cancel(done.id)


def test_cancelling_what_has_ended_changes_nothing(client: openai.OpenAI) -> None:
    begun = client.responses.create(**SHORT, input="Tell me a story", background=True)
    whole = ended(client, begun.id)
    assert client.responses.cancel(begun.id) == whole


def test_delete(client: openai.OpenAI, live: Live) -> None:
    first = client.responses.create(**SHORT, input="Tell me a story")
    second = client.responses.create(**SHORT, input="Why?", previous_response_id=first.id)
    client.responses.delete(first.id)
    for lost in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match="there is no response"):
            lost(first.id)
    third = client.responses.create(**SHORT, input="And?", previous_response_id=second.id)
    assert third.usage.input_tokens > second.usage.input_tokens
    running = client.responses.create(**ENDLESS)
    client.responses.delete(running.id)
    live.idle()
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(running.id)


def test_a_response_is_not_streamed_later(client: openai.OpenAI) -> None:
    response = client.responses.create(**SHORT, input="Tell me a story")
    with pytest.raises(openai.BadRequestError, match="was not created with background and"):
        client.responses.retrieve(response.id, stream=True)


def test_a_full_store_forgets_what_is_longest_unused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--stored-responses", "2") as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client,
    ):
        kept = [client.responses.create(**SHORT, input=f"{i}").id for i in range(2)]
        client.responses.retrieve(kept[0])
        newest = client.responses.create(**SHORT, input="2", previous_response_id=kept[0])
        with pytest.raises(openai.NotFoundError, match="the last 2 are kept"):
            client.responses.retrieve(kept[1])
        for identity in (kept[0], newest.id):
            assert client.responses.retrieve(identity).id == identity
        for _ in range(3):
            client.responses.create(**SHORT, input="Why?", previous_response_id=newest.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(kept[0])


def test_what_is_still_made_is_not_forgotten() -> None:
    store = ResponseStore(2)
    request = ResponseRequest(input="x", background=True)  # type: ignore[arg-type]
    makings = [ResponseState(request, "default") for _ in range(5)]
    for making in makings[:3]:
        store.put(making)
    assert [store.get(making.id) for making in makings[:3]] == makings[:3]
    with pytest.raises(ApiError, match="is queued: there is no answer to continue"):
        store.finished(makings[0].id)
    makings[1].cancel()
    store.put(makings[3])
    with pytest.raises(ApiError, match="there is no response"):
        store.get(makings[1].id)
    for making in makings:
        making.cancel()
    store.put(makings[4])
    for making in makings[:3]:
        with pytest.raises(ApiError):
            store.get(making.id)
    assert [store.get(making.id) for making in makings[3:]] == makings[3:]


def test_large_conversations_make_room_sooner() -> None:
    store = ResponseStore(100, max_bytes=1000)
    request = ResponseRequest(input="x")  # type: ignore[arg-type]
    first = ResponseState(request, "default", 400)
    chained = ResponseState(request, "default", 300, first)
    assert (chained.size, len(chained.items)) == (700, 2)
    for making in (first, chained):
        making.cancel()
        store.put(making)
    assert store.get(chained.id) is chained
    with pytest.raises(ApiError, match="there is no response"):
        store.get(first.id)


def test_a_background_response_that_takes_too_long_fails(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--request-timeout", "0.2", "--num-ctx", "512") as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client,
    ):
        many = [client.responses.create(**ENDLESS).id for _ in range(16)]
        responses = [ended(client, identity) for identity in many]
        failed = [response for response in responses if response.status == "failed"]
        assert failed
        assert failed[0].error.code == "server_error"
        assert "not complete within 0.2 s" in failed[0].error.message
        live.idle()


def test_a_full_queue_refuses_the_background_at_once(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--max-seqs", "1", "--max-waiting", "1") as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client,
    ):
        with pytest.raises(openai.RateLimitError, match="try again later"):
            [client.responses.create(**ENDLESS) for _ in range(8)]
        live.idle()


def test_stopping_ends_the_background(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-seqs", "1") as live:
        body = {"input": "Tell me a story", "background": True, "ignore_eos": True}
        for _ in range(30):
            answer = httpx.post(f"{live.url}/v1/responses", json=body)
            assert answer.status_code == 200
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(60) == 0
        log = live.log.read_text()
        assert "background responses end without an answer" in log
        assert "Traceback" not in log


def test_a_stream_that_nobody_reads_is_not_kept(live: Live, client: openai.OpenAI) -> None:
    body = {"input": "Tell me a story", "stream": True, "ignore_eos": True}
    with client.responses.with_streaming_response.create(
        model="default", input="x", stream=True, extra_body=body
    ) as answer:
        line = next(line for line in answer.iter_lines() if "resp_" in line)
    live.idle()
    identity = line.partition('"id": "')[2].partition('"')[0]
    assert identity.startswith("resp_")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(identity)
