"""Whose sessions a request may use, what a key opens, and calls that are approved one by one."""

from __future__ import annotations

import asyncio
from unittest.mock import MagicMock

import httpx2 as httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tramontane.tools import ToolCall
from tramontane_plugin_server.acting import Acting
from tramontane_plugin_server.http.access import Access, owner
from tramontane_plugin_server.http.keys import KeyRing, Keys
from tramontane_plugin_server.key_files import Key
from tramontane_plugin_server.settings import read

USERS = [Key("sk-1"), Key("sk-2"), Key("sk-ann", "ann"), Key("sk-ann-new", "ann")]
ADMIN = [Key("sk-admin")]


async def says(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(owner())(scope, receive, send)


def asked(ring: KeyRing, path: str = "/", **headers: str) -> httpx.Response:
    async def act() -> httpx.Response:
        metrics = MagicMock()
        guarded = Keys(says, ring, (), metrics)
        transport = httpx.ASGITransport(Access(guarded, "off", metrics))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(act())


def whose(key: str, told: str | None = None) -> str:
    more = {} if told is None else {"x-tramontane-owner": told}
    answer = asked(KeyRing(USERS, ADMIN), authorization=f"Bearer {key}", **more)
    assert answer.status_code == 200
    return answer.text


def test_each_key_or_name_owns_its_sessions() -> None:
    owners = [whose(key.value) for key in (*USERS, *ADMIN)]
    assert len(set(owners)) == 4  # Ann has two keys
    assert owners[2] == owners[3] == "ann"
    assert all(owners)
    assert not any("sk-" in one for one in owners)


def test_only_an_admin_key_says_for_whom_it_asks() -> None:
    assert whose("sk-1", told="ann") == whose("sk-1")
    assert whose("sk-ann", told="key-2") == "ann"
    routed = {whose("sk-admin"), whose("sk-admin", "ann"), whose("sk-admin", "key-2")}
    assert len(routed) == 3
    assert routed.isdisjoint({whose(key.value) for key in USERS})


def test_a_server_without_keys_keeps_those_of_a_router_apart() -> None:
    none = KeyRing((), ())
    owners = [asked(none, **{"x-tramontane-owner": name}).text for name in ("ann", "bob", "ann")]
    assert owners[0] == owners[2] != owners[1]
    assert asked(none).text == ""


@pytest.mark.parametrize(("path", "status"), [
    (f"/v1/images/files/{'aB-_' * 8}.png", 200), (f"/v1/images/files/{'a' * 32}.webp", 200),
    ("/v1/images/files/", 401), ("/v1/images/files/picture.png", 401),
    (f"/v1/images/files/{'a' * 32}.png/more", 401), (f"/v1/images/files/x/{'a' * 32}.png", 401),
    (f"/v1/images/files/{'a' * 32}.png%0A", 401),
])  # fmt: skip
def test_only_names_that_nobody_guesses_need_no_key(path: str, status: int) -> None:
    assert asked(KeyRing(USERS, ADMIN), path).status_code == status


def test_no_call_is_approved_in_the_place_of_an_earlier_one() -> None:
    """A call that is over leaves its address in memory to later ones."""
    acting = Acting(read(None, {"approvals": "ask"}))
    try:
        acts = acting.begin("session", (), asks=True)
        found = {acts._identity(ToolCall("write", "{}", str(index))) for index in range(100)}
        assert len(found) == 100
        call = ToolCall("write", "{}", "x")
        assert acts._identity(call) == acts._identity(call)
    finally:
        acting.close()
