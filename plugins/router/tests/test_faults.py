"""Replicas that die, stall and are replaced: what has not begun to be answered is answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from typing import Any

import pytest

from .routed import Routed, process, routing, stand_ins, user
from .stand_in import StandIn, words_of

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


async def streamed(routed: Routed, path: str, text: str, tokens: int) -> tuple[list[Any], bool]:
    """The events of a stream, and whether it came to its end."""
    body: dict[str, Any] = {"max_tokens": tokens, "stream": True}
    body |= {"input": text} if path == RESPONSES else {"messages": [user(text)]}
    raw = b""
    async with routed.client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        async for part in answer.aiter_raw():
            raw += part
    events = [one.splitlines() for one in raw.decode().split("\n\n") if one]
    assert raw.endswith(b"\n\n")
    return events, events[-1] == ["data: [DONE]"]


@pytest.mark.parametrize(("path", "head", "said"), [
    (CHAT, None, '"code": "replica_lost"'),
    (MESSAGES, "event: error", '"type": "error"'),
    (RESPONSES, "event: error", '"sequence_number": '),
])  # fmt: skip
def test_a_stream_of_a_killed_replica_ends_with_an_error(
    path: str, head: str | None, said: str
) -> None:
    async def act(running: Any, url: str) -> None:
        async with routing(url, patience=0.1) as routed:
            task = asyncio.create_task(streamed(routed, path, "hi", 100_000))
            await routed.streaming(1)
            await asyncio.sleep(0.1)
            running.send_signal(signal.SIGKILL)
            events, whole = await asyncio.wait_for(task, 10)
            assert not whole
            assert len(events) > 2
            last = events[-1]
            assert said in last[-1]
            assert "send the request again" in last[-1]
            assert (last[0] == head) == (head is not None)
            if path == RESPONSES:
                assert f'"sequence_number": {len(events) - 1}}}' in last[-1]
            text = routed.router.metrics.text().decode()
            assert "tramontane_router_broken_answers_total 1.0" in text

    with process("--between", "0.002") as (running, url):
        asyncio.run(act(running, url))


def test_a_kill_in_the_middle_of_many_loses_only_what_had_begun() -> None:
    async def act(victim: Any, urls: list[str]) -> None:
        async with routing(*urls) as routed:

            async def one(number: int) -> str:
                await asyncio.sleep(number * 0.004)
                events, whole = await streamed(routed, CHAT, f"request {number}", 100)
                text = f"<user>request {number}<assistant>"
                if whole:
                    assert len(events) == 101
                    return "whole"
                got = [event[0] for event in events[:-1]]
                assert all(word in line for line, word in
                           zip(got, words_of(text, 100), strict=False))  # fmt: skip
                assert "replica_lost" in events[-1][0]
                return "broken"

            tasks = [asyncio.create_task(one(number)) for number in range(90)]
            home = routed.router.replicas.get(urls[1])
            while home is None or home.running < 5:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            victim.send_signal(signal.SIGKILL)
            ends = Counter(await asyncio.wait_for(asyncio.gather(*tasks), 60))
            assert ends["broken"] + ends["whole"] == 90
            assert 0 < ends["broken"] < 60
            assert len(routed.router.replicas.within("ready")) == 2

    with contextlib.ExitStack() as stack:
        options = ("--first", "0.1", "--between", "0.004")
        found = [stack.enter_context(process(*options)) for _ in range(3)]
        asyncio.run(act(found[1][0], [url for _, url in found]))


def test_what_has_not_begun_is_answered_by_another_replica() -> None:
    async def act() -> None:
        async with (
            stand_ins(2, first=0.4) as replicas,
            routing(*(url for _, url in replicas)) as routed,
        ):
            body = {"messages": [user("hi")], "stream": True, "max_tokens": 3}
            tasks = [
                asyncio.create_task(routed.events(CHAT, body)),
                asyncio.create_task(routed.chat([user("hi")], max_tokens=3)),
            ]
            while not (working := [one for one, _ in replicas if one.running]):
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            working[0].close()
            events, answer = await asyncio.gather(*tasks)
            assert [one["text"] for one in events] == words_of("<user>hi<assistant>", 3)
            assert answer.status_code == 200

    asyncio.run(act())


def test_a_request_that_kills_replicas_is_not_given_to_all_of_them() -> None:
    async def act() -> None:
        async with (
            stand_ins(5, first=5) as replicas,
            routing(*(url for _, url in replicas), check_interval=30) as routed,
        ):
            task = asyncio.create_task(routed.chat([user("poison")]))
            while not task.done():
                for one, _ in replicas:
                    if one.asked:
                        one.close()
                await asyncio.sleep(0.01)
            answer = await task
            assert answer.status_code == 502
            assert answer.json()["error"]["code"] == "replica_lost"
            assert sum(one.asked for one, _ in replicas) == 3

    asyncio.run(act())


def test_a_replica_that_stalls_is_given_up() -> None:
    async def act(victim: Any, urls: list[str]) -> None:
        async with routing(*urls, stall_timeout=1.0) as routed:
            home = await routed.ask(RESPONSES, {"input": "to find out", "max_tokens": 1})
            assert home.status_code == 200
            streams = [
                asyncio.create_task(streamed(routed, CHAT, f"stream {number}", 2000))
                for number in range(8)
            ]
            await routed.streaming(8)
            victim.send_signal(signal.SIGSTOP)
            asked = [
                asyncio.create_task(routed.chat([user(f"later {number}")], max_tokens=2))
                for number in range(8)
            ]
            answers = await asyncio.wait_for(asyncio.gather(*asked), 20)
            assert [one.status_code for one in answers] == [200] * 8
            ends = [whole for _, whole in await asyncio.wait_for(asyncio.gather(*streams), 60)]
            assert 0 < ends.count(False) < 8
            victim.send_signal(signal.SIGCONT)
            await routed.until("ready", urls[0])

    with process("--between", "0.001") as one, process("--between", "0.001") as two:
        asyncio.run(act(one[0], [one[1], two[1]]))


def test_a_replica_that_stops_ends_its_streams_first() -> None:
    """It refuses health checks while it still answers: it is down for what is new only."""

    async def act() -> None:
        async with (
            stand_ins(1, between=0.02) as ((replica, url),),
            routing(url, stall_timeout=0.1) as routed,
        ):
            task = asyncio.create_task(streamed(routed, CHAT, "hi", 40))
            await routed.streaming(1)
            stopping = asyncio.create_task(replica.drain())
            await routed.until("down", url)
            assert not task.done()
            events, whole = await task
            assert whole
            assert len(events) == 41
            await stopping

    asyncio.run(act())


def test_a_replica_that_was_given_up_may_come_back_slowly() -> None:
    async def act() -> None:
        async with stand_ins(1) as ((replica, url),), routing(url, stall_timeout=0.3) as routed:
            replica.slow = 60
            await routed.until("down", url)
            replica.slow = 0.5
            await routed.until("ready", url)

    asyncio.run(act())


def test_without_a_replica_requests_wait_for_one_and_then_say_so() -> None:
    async def act() -> None:
        one = StandIn()
        port = await one.start()
        url = f"http://127.0.0.1:{port}"
        async with routing(url, patience=0.4) as routed:
            one.close()
            answer = await routed.chat([user("x")])
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "no_replica"
            assert answer.headers["retry-after"] == "1"
            assert (await routed.client.get("/ready")).status_code == 503
            assert (await routed.client.get("/health")).status_code == 200
        async with routing(url, patience=30) as routed:
            task = asyncio.create_task(routed.chat([user("x")]))
            await asyncio.sleep(0.3)
            again = StandIn()
            await again.start(port)
            assert (await task).status_code == 200
            again.close()

    asyncio.run(act())


async def steady(routed: Routed, count: int, clients: int, update: Any) -> list[str]:
    """`count` requests by `clients` at once while `update` runs; what was wrong."""
    numbers = iter(range(count))
    wrong: list[str] = []

    async def client() -> None:
        for number in numbers:
            text = f"<user>request {number}<assistant>"
            if number % 2:
                events, whole = await streamed(routed, CHAT, f"request {number}", 12)
                if not whole or len(events) != 13:
                    wrong.append(f"{number}: {events[-1]}")
            else:
                answer = await routed.chat([user(f"request {number}")], max_tokens=12)
                said = answer.json()
                if answer.status_code != 200 or said["choices"][0]["message"]["content"] != "".join(
                    words_of(text, 12)
                ):
                    wrong.append(f"{number}: {said}")

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    rolling = asyncio.create_task(update())
    await asyncio.gather(*tasks, rolling)
    return wrong


def test_a_rolling_update_loses_no_answer() -> None:
    """All replicas are replaced, one after the other, while clients ask: 2,000 requests with
    TRAMONTANE_FULL=1."""
    count = 2000 if FULL else 300

    async def act() -> None:
        async with stand_ins(3, first=0.01, between=0.002) as replicas:
            old = [one for one, _ in replicas]
            urls = [url for _, url in replicas]
            ports = [int(url.rpartition(":")[2]) for url in urls]
            async with routing(*urls) as routed:
                new: list[StandIn] = []

                async def update() -> None:
                    for one, port, url in zip(old, ports, urls, strict=True):
                        await asyncio.sleep(0.1)
                        await one.drain()
                        await routed.until("down", url)
                        new.append(StandIn(first=0.01, between=0.002))
                        await new[-1].start(port)
                        await routed.until("ready", url)

                assert await steady(routed, count, 12, update) == []
                assert all(one.asked for one in new)
                for one in new:
                    one.close()

    asyncio.run(act())


def test_replicas_come_and_go_without_a_lost_answer() -> None:
    async def act() -> None:
        async with stand_ins(4, first=0.01, between=0.002) as replicas:
            urls = [url for _, url in replicas]
            async with routing(*urls[:2]) as routed:

                async def update() -> None:
                    await asyncio.sleep(0.1)
                    routed.router.set_replicas(dict.fromkeys(urls))
                    await asyncio.sleep(0.1)
                    routed.router.set_replicas(dict.fromkeys(urls[2:]))
                    await asyncio.sleep(0.1)
                    for one, _ in replicas[:2]:
                        await one.drain()

                assert await steady(routed, 200, 12, update) == []
                assert all(one.asked for one, _ in replicas)

    asyncio.run(act())


def test_a_client_that_goes_is_not_answered_any_longer() -> None:
    async def act() -> None:
        async with stand_ins(1, between=0.01) as ((replica, url),), routing(url) as routed:
            body = {"messages": [user("x")], "stream": True, "max_tokens": 10_000}
            async with routed.client.stream("POST", CHAT, json=body) as answer:
                async for _ in answer.aiter_raw():
                    break
            async with asyncio.timeout(10):
                while replica.running or next(iter(routed.router.replicas)).running:
                    await asyncio.sleep(0.01)

    asyncio.run(act())
