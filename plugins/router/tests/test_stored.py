"""What was stored at one replica is found through the router."""

from __future__ import annotations

import asyncio

from tramontane_plugin_router.stored import Stored, stored_name

from .routed import routing, stand_ins, user

RESPONSES = "/v1/responses"


def test_stored_responses_are_found_and_continued() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas, routing(*(url for _, url in replicas)) as routed:
            names = []
            for number in range(9):
                body = {"input": f"question {number}" * 1000, "max_tokens": 2}
                if number % 2:
                    names.append((await routed.events(RESPONSES, body))[0]["id"])
                else:
                    names.append((await routed.ask(RESPONSES, body)).json()["id"])
            assert all(one.responses for one, _ in replicas)
            for name in names:
                found = await routed.client.get(f"{RESPONSES}/{name}")
                assert found.json()["id"] == name
                more = {"input": "and?", "previous_response_id": name}
                assert (await routed.ask(RESPONSES, more)).status_code == 200
                items = await routed.client.get(f"{RESPONSES}/{name}/input_items")
                assert items.status_code == 404  # the stand-in has none; it is no router's answer
                assert items.json()["error"]["code"] == "not_found"
            for name in names:
                assert (await routed.client.delete(f"{RESPONSES}/{name}")).status_code == 200
            assert (await routed.client.get(f"{RESPONSES}/{names[0]}")).status_code == 404

    asyncio.run(act())


def test_a_router_that_was_restarted_finds_them_too() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas:
            urls = [url for _, url in replicas]
            async with routing(*urls) as routed:
                made = [
                    (await routed.ask(RESPONSES, {"input": f"{number}" * 999})).json()["id"]
                    for number in range(6)
                ]
            async with routing(*urls) as routed:
                for name in made:
                    more = {"input": "and?", "previous_response_id": name}
                    assert (await routed.ask(RESPONSES, more)).status_code == 200
                    assert (await routed.client.get(f"{RESPONSES}/{name}")).status_code == 200
                for name in ("resp_0", "../../metrics", "x y", 3):
                    more = {"input": "and?", "previous_response_id": name}
                    answer = await routed.ask(RESPONSES, more)
                    assert answer.status_code == 400
                    assert answer.json()["error"]["code"] == "previous_response_not_found"

    asyncio.run(act())


def test_a_response_whose_replica_is_gone_says_what_to_do() -> None:
    async def act() -> None:
        async with stand_ins(2) as replicas, routing(*(url for _, url in replicas)) as routed:
            name = (await routed.ask(RESPONSES, {"input": "x"})).json()["id"]
            next(one for one, _ in replicas if name in one.responses).close()
            answer = await routed.ask(RESPONSES, {"input": "y", "previous_response_id": name})
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert error["code"] == "previous_response_not_found"
            assert "send the whole conversation" in error["message"]
            assert (await routed.client.get(f"{RESPONSES}/{name}")).status_code == 404
            assert (await routed.chat([user("x")])).status_code == 200

    asyncio.run(act())


def test_images_are_found_wherever_they_were_made() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas, routing(*(url for _, url in replicas)) as routed:
            replicas[2][0].responses["picture.png"] = []
            found = await routed.client.get("/v1/images/files/picture.png")
            assert found.json() == {"id": "picture.png"}
            assert (await routed.client.get("/v1/images/files/other.png")).status_code == 404

    asyncio.run(act())


def test_names_are_kept_in_bounded_memory() -> None:
    stored = Stored(most=3)
    for number in range(9):
        stored.learn(b'data: {"response": {"id": "resp_%d"}}' % number, number)  # type: ignore[arg-type]
    assert [stored.find(f"resp_{number}") for number in range(9)] == [None] * 6 + [6, 7, 8]
    assert stored_name("/v1/responses/resp_1/cancel") == "resp_1"
    assert stored_name("/v1/responses/") is stored_name("/v1/responses") is None
