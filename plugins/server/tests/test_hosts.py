"""By which names a server without keys may be called: a page of the web may lead its own here."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2 as httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.http.hosts import Hosts
from tramontane_plugin_server.settings import read


async def says(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(str(Request(scope).base_url))(scope, receive, send)


def asked(app: Any, host: str, path: str = "/", **headers: str) -> httpx.Response:
    async def act() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path, headers={"host": host, **headers})

    return asyncio.run(act())


@pytest.mark.parametrize("host", [
    "127.0.0.1", "127.0.0.1:1234", "[::1]:1234", "[fe80::1]", "192.168.0.7:80", "localhost:1234",
    "LocalHost", "app.localhost", "box", "model:1234", "host.docker.internal:1234",
    "chat.example", "Chat.Example:443", "chat.example.", "named.example:99", "",
])  # fmt: skip
def test_names_that_nobody_outside_can_lead_here_are_answered(host: str) -> None:
    app = Hosts(says, (), ("127.0.0.1", "chat.example", "Named.example:1234"))
    assert asked(app, host).status_code == 200


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:1234", "127.0.0.1.evil.example", "localhost.evil.example",
    "internal.evil.example", "sub.chat.example", "evil-chat.example", "[::1", "a.b@c.d", "1.2.3",
])  # fmt: skip
def test_others_are_refused_with_the_way_out(host: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = asked(Hosts(says, (), ("chat.example",)), host)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "host_not_allowed"
    assert host in error["message"]
    assert "its owner can allow the name" in error["message"]
    assert f"--allowed-host {host}" in caplog.text


def test_with_keys_any_name_will_do() -> None:
    assert asked(Hosts(says, {"key"}, ()), "chat.example").status_code == 200


def test_addresses_in_answers_have_the_name_that_a_router_was_called_by() -> None:
    told = {"x-forwarded-host": "chat.example"}
    assert asked(Hosts(says, (), ()), "localhost", **told).text == "http://chat.example/"
    refused = asked(Hosts(says, (), ()), "evil.example", **{"x-forwarded-host": "localhost"})
    assert refused.status_code == 403


def test_the_server_asks_for_it() -> None:
    def status(host: str, **settings: Any) -> int:
        return asked(build(Serving(read(None, settings))), host, "/health").status_code

    assert status("evil.example") == 403
    assert status("127.0.0.1:1234") == 200
    assert status("evil.example", api_key=["secret"]) == 200
    assert status("chat.example", allowed_host=["chat.example"]) == 200
    assert status("evil.example", uds="/tmp/socket") == 200  # browsers cannot reach it
