"""Which replica gets what: where its beginning is cached, and who has the least to do."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from tramontane_plugin_router.choose import Choice
from tramontane_plugin_router.prefix_blocks import chain_of
from tramontane_plugin_router.prefix_map import PrefixMap
from tramontane_plugin_router.replica import Replicas

from .routed import Routed, routing, stand_ins, user
from .stand_in import StandIn, words_of

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CHAT = "/v1/chat/completions"


def test_answers_and_streams_are_passed_on() -> None:
    async def act() -> None:
        async with stand_ins(2) as replicas, routing(*(url for _, url in replicas)) as routed:
            answer = await routed.chat([user("hi")], max_tokens=5)
            assert answer.status_code == 200
            expected = words_of("<user>hi<assistant>", 5)
            assert answer.json()["choices"][0]["message"]["content"] == "".join(expected)
            assert answer.headers.get_list("x-request-id") != ["replica"]
            events = await routed.events(CHAT, {"messages": [user("hi")], "max_tokens": 50})
            assert [one["text"] for one in events] == words_of("<user>hi<assistant>", 50)
            sent = [headers for one, _ in replicas for headers in one.headers]
            assert {one["host"] for one in sent} == {"localhost"}  # which needs no --allowed-host
            called = routed.url.removeprefix("http://")
            assert {one["x-forwarded-host"] for one in sent} == {called}
            assert {one["x-forwarded-for"] for one in sent} == {"127.0.0.1"}

    asyncio.run(act())


def test_any_path_any_body_and_any_status_go_through() -> None:
    async def act() -> None:
        async with stand_ins(2) as replicas, routing(*(url for _, url in replicas)) as routed:
            ask = routed.client.post
            form = await ask("/v1/audio/transcriptions", files={"file": b"x" * 100_000})
            assert form.json()["path"] == "/v1/audio/transcriptions"
            assert form.json()["bytes"] > 100_000
            embedded = await routed.ask("/v1/embeddings", {"input": "x"})
            assert embedded.json()["path"] == "/v1/embeddings"
            assert (await routed.client.get("/v1/models")).json()["data"] == [{"id": "default"}]
            assert (await ask(CHAT, content=b"{", headers={"content-type": "text/x"})).json()
            for one, _ in replicas:
                one.refuse = (418, "teapot")
            refused = await routed.chat([user("x")])
            assert (refused.status_code, refused.json()["error"]["code"]) == (418, "teapot")

    asyncio.run(act())


async def converse(routed: Routed, name: str, turns: int, rng: random.Random) -> None:
    """One conversation; its system prompt is everybody's."""
    messages = [{"role": "system", "content": "You are a helpful assistant. " * 20}]
    for turn in range(turns):
        text = f"{name}, {turn}: " + " ".join(str(rng.random()) for _ in range(rng.randint(2, 30)))
        messages.append(user(text))
        answer = await routed.chat(messages, max_tokens=rng.randint(4, 60))
        assert answer.status_code == 200
        content = answer.json()["choices"][0]["message"]["content"]
        messages.append({"role": "assistant", "content": content})


async def hits(replicas: int, blocks: int, at_once: int) -> tuple[float, list[StandIn]]:
    """The share of 64 conversations of 6 turns that was in the replicas' caches."""
    async with (
        stand_ins(replicas, blocks=blocks, first=0.001) as found,
        routing(*(url for _, url in found)) as routed,
    ):
        slots = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with slots:
                await converse(routed, f"c{number}", 6, random.Random(number))

        await asyncio.gather(*(one(number) for number in range(64)))
        caches = [one.cache for one, _ in found]
        share = sum(one.hits for one in caches) / sum(one.queries for one in caches)
        return share, [one for one, _ in found]


@pytest.mark.parametrize("at_once", [1, 4, 16, 64] if FULL else [16])
def test_four_replicas_find_as_much_in_their_caches_as_a_big_one(at_once: int) -> None:
    one, _ = asyncio.run(hits(1, 64_000, at_once))
    four, replicas = asyncio.run(hits(4, 16_000, at_once))
    assert one > 0.5
    assert four >= 0.95 * one
    asked = [replica.asked for replica in replicas]
    assert sum(asked) == 64 * 6
    assert max(asked) <= 2 * min(asked)  # and they share the work


def test_conversations_that_meet_in_a_system_prompt_are_spread() -> None:
    async def act() -> None:
        async with stand_ins(4) as replicas, routing(*(url for _, url in replicas)) as routed:
            for number in range(200):
                system = {"role": "system", "content": "s" * 2000}
                await routed.chat([system, user(f"conversation {number}" * 200)])
            assert min(one.asked for one, _ in replicas) > 25

    asyncio.run(act())


def test_a_body_that_is_too_large_goes_nowhere() -> None:
    async def act() -> None:
        async with stand_ins(1) as ((replica, url),), routing(url, max_body=1000) as routed:
            answer = await routed.client.post(CHAT, content=b"x" * 2000)
            assert answer.status_code == 413
            assert replica.asked == 0

    asyncio.run(act())


def replicas_of(count: int) -> tuple[Replicas, PrefixMap]:
    replicas = Replicas()
    replicas.set({f"http://r{number}:1": None for number in range(count)})
    for one in replicas:
        one.state = "ready"
    return replicas, PrefixMap()


def test_a_busy_replica_loses_its_conversation_to_a_free_one() -> None:
    replicas, prefixes = replicas_of(2)
    choice = Choice(replicas, prefixes, busy=8)
    chain = chain_of(CHAT, {"messages": [user("x" * 5000)]})
    home, other = replicas
    prefixes.add(chain, home)
    for running, left, expected in (
        (0, 0, home), (7, 0, home), (8, 0, other), (8, 4, home), (9, 4, other), (40, 30, home),
    ):  # fmt: skip
        home.running, other.running = running, left
        picked = choice.pick(chain)
        assert picked is not None
        assert picked[0] is expected, (running, left)
        assert picked[1] == (0 if expected is home else len(chain.keys))


def test_a_long_document_is_asked_about_where_it_was_read() -> None:
    replicas, prefixes = replicas_of(3)
    choice = Choice(replicas, prefixes, busy=8)
    document = "word " * 20_000
    first = chain_of(CHAT, {"messages": [user(document + "who?")]})
    picked = choice.pick(first)
    assert picked is not None
    home = picked[0]
    prefixes.add(first, home)
    again = choice.pick(chain_of(CHAT, {"messages": [user(document + "when?")]}))
    assert again is not None
    assert again[0] is home
    assert again[1] <= 2
    with home.answers(1000):  # it is reading another one
        elsewhere = choice.pick(chain_of(CHAT, {"messages": [user(document + "where?")]}))
        assert elsewhere is not None
        assert elsewhere[0] is not home


def test_requests_without_a_prompt_go_where_the_least_is_done() -> None:
    replicas, prefixes = replicas_of(3)
    choice = Choice(replicas, prefixes, busy=8)
    one, two, three = replicas
    with one.answers(0), three.answers(0), three.answers(0):
        picked = choice.pick(chain_of("/v1/embeddings", {"input": "x"}))
        assert picked is not None
        assert picked[0] is two


def test_a_queue_that_is_full_is_not_the_end() -> None:
    async def act() -> None:
        async with stand_ins(2) as replicas, routing(*(url for _, url in replicas)) as routed:
            (one, _), (two, _) = replicas
            for status, code in ((429, "queue_full"), (503, "model_not_loaded")):
                one.refuse, two.refuse = (status, code), None
                for number in range(4):
                    answer = await routed.chat([user(f"{status} {number}")])
                    assert answer.status_code == 200
                two.refuse = (status, code)
                answer = await routed.chat([user("again")])
                assert answer.status_code == status
                assert answer.json()["error"]["code"] == code
            one.refuse = two.refuse = (429, "rate_limit_exceeded")  # the client's own limit
            asked = one.asked + two.asked
            assert (await routed.chat([user("x")])).status_code == 429
            assert one.asked + two.asked == asked + 1

    asyncio.run(act())
