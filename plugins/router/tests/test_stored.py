"""What was stored at one replica is found through the router."""

from __future__ import annotations

import asyncio

from tramontane_plugin_router.stored import Stored, session_name, stored_name

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


def test_approvals_and_files_reach_the_replica_of_their_session() -> None:
    async def act() -> None:
        async with stand_ins(3) as replicas, routing(*(url for _, url in replicas)) as routed:
            holder = replicas[2][0]
            holder.responses = {"call-1": [], "files?session_id=mine": [], "a?session_id=mine": []}
            for name, status in (("call-1", 200), ("call-2", 404)):
                answer = await routed.ask(f"/v1/agent/approvals/{name}", {"allow": True})
                assert answer.status_code == status
            for path, status in (("", 200), ("/a", 200), ("/b", 404)):
                found = await routed.client.get(f"/v1/agent/files{path}?session_id=mine")
                assert found.status_code == status

    asyncio.run(act())


def test_chats_of_a_session_go_to_one_replica() -> None:
    async def act() -> None:
        async with (
            stand_ins(3) as replicas,
            routing(*(url for _, url in replicas), busy=1, patience=0.2) as routed,
        ):

            async def homes(session: str | None) -> set[int]:
                for one, _ in replicas:
                    one.asked = 0
                more = {} if session is None else {"session_id": session}
                asked = [
                    routed.chat([user(f"{session} {number}" * 200)], **more) for number in range(9)
                ]
                first = await routed.chat([user("begins")], **more)
                found = [first, *await asyncio.gather(*asked)]
                assert {answer.status_code for answer in found} == {200}
                return {index for index, (one, _) in enumerate(replicas) if one.asked}

            assert len(await homes(None)) == 3
            (home,) = await homes("mine")
            assert await homes("mine") == {home}
            replica = replicas[home][0]
            replica.refuse = (429, "queue_full")  # its variables are nowhere else
            answer = await routed.chat([user("x")], session_id="mine")
            assert answer.status_code == 429
            replica.refuse = (503, "model_lost")
            assert len(await homes("mine") - {home}) == 1
            replica.refuse = None
            assert home not in await homes("mine")

    asyncio.run(act())


def test_sessions_of_two_keys_have_two_names() -> None:
    assert session_name("mine", b"ann") != session_name("mine", b"bob")
    assert session_name("mine", b"ann") == session_name("mine", b"ann")
    assert session_name("", b"") is session_name(3, b"") is session_name(None, b"") is None


def test_only_the_router_says_for_whom_it_asks() -> None:
    async def act() -> None:
        async with (
            stand_ins(1) as ((replica, url),),
            routing(url, api_key=("k1", "k2")) as routed,
        ):
            told = []
            for key in ("k1", "k2", "k1"):
                headers = {"authorization": f"Bearer {key}", "x-tramontane-owner": "k2"}
                assert (await routed.chat([user("x")], session_id="s")).status_code == 401
                answer = await routed.ask("/v1/embeddings", {"input": "x"}, headers=headers)
                assert answer.status_code == 200
                told.append(replica.headers[-1]["x-tramontane-owner"])
            assert told[0] == told[2] != told[1]
            assert "k2" not in told
        async with stand_ins(1) as ((replica, url),), routing(url) as routed:
            await routed.ask("/v1/embeddings", {}, headers={"x-tramontane-owner": "ann"})
            assert replica.headers[-1].get("x-tramontane-owner") != "ann"

    asyncio.run(act())


def test_names_are_kept_in_bounded_memory() -> None:
    stored = Stored(most=3)
    for number in range(9):
        stored.learn(b'data: {"response": {"id": "resp_%d"}}' % number, number)  # type: ignore[arg-type]
    assert [stored.find(f"resp_{number}") for number in range(9)] == [None] * 6 + [6, 7, 8]
    assert stored_name("/v1/responses/resp_1/cancel") == "resp_1"
    assert stored_name("/v1/responses/") is stored_name("/v1/responses") is None


def test_a_router_without_keys_answers_to_names_that_are_allowed() -> None:
    async def act() -> None:
        async with (
            stand_ins(1) as ((replica, url),),
            routing(url, allowed_host=("chat.example",)) as routed,
        ):
            get = routed.client.get
            refused = await get("/health", headers={"host": "evil.example"})
            assert refused.status_code == 403
            assert refused.json()["error"]["code"] == "host_not_allowed"
            called = await get("/v1/images/files/x", headers={"host": "chat.example"})
            assert called.status_code == 404
            assert replica.headers[-1]["host"] == "localhost"
            assert replica.headers[-1]["x-forwarded-host"] == "chat.example"

    asyncio.run(act())
