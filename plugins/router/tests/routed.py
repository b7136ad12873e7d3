"""A router in the test's own loop, and what asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import uvicorn
from tramontane_plugin_router.app import Router
from tramontane_plugin_router.replica import ANSWERING, Replicas
from tramontane_plugin_router.settings import RouterSettings
from tramontane_plugin_server.http.keys import KeyRing

from .stand_in import StandIn

HERE = Path(__file__).parent


@dataclass
class Routed:
    """A router that runs. url: without a path."""

    router: Router
    url: str
    client: httpx.AsyncClient

    async def ask(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return await self.client.post(path, json=body, **more)

    async def chat(self, messages: list[Any], **more: Any) -> httpx.Response:
        return await self.ask("/v1/chat/completions", {"messages": messages, **more})

    async def events(self, path: str, body: Any) -> list[Any]:
        """Of a stream, without its end."""
        async with self.client.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.status_code == 200, await answer.aread()
            found = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
        return [json.loads(one) for one in found if one != "[DONE]"]

    async def streaming(self, count: int) -> None:
        """Wait until so many answers have begun."""
        async with asyncio.timeout(20):
            while True:
                found = list(self.router.replicas)
                running = sum(one.running for one in found)
                if running == count and all(one.work == ANSWERING * one.running for one in found):
                    return
                await asyncio.sleep(0.01)

    async def until(self, state: str, url: str) -> None:
        """Wait until a replica is in a state."""
        async with asyncio.timeout(20):
            while (one := self.router.replicas.get(url)) is None or one.state != state:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def routing(*urls: str, **options: Any) -> AsyncIterator[Routed]:
    """A router for replicas at these addresses, once all have been looked at."""
    options = {"access_log": "off", "check_interval": 0.05, **options}
    settings = RouterSettings(to=urls, **options)
    router = Router(settings, Replicas())
    keys = KeyRing(settings.keys(), settings.admin_keys())
    config = uvicorn.Config(
        router.guarded(keys), log_config=None, access_log=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(512)
        router.set_replicas(settings.replicas())
        router.watch()
        task = asyncio.create_task(server._serve([sock]))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with asyncio.timeout(20):
            while router.replicas.within("new") or not server.started:
                await asyncio.sleep(0.005)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        try:
            async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
                yield Routed(router, url, client)
        finally:
            server.should_exit = True
            await task
            await router.close()


@contextlib.asynccontextmanager
async def stand_ins(count: int, **options: Any) -> AsyncIterator[list[tuple[StandIn, str]]]:
    """Replicas in the test's own loop, with their addresses."""
    found = [StandIn(**options) for _ in range(count)]
    try:
        yield [(one, f"http://127.0.0.1:{await one.start()}") for one in found]
    finally:
        for one in found:
            one.close()


@contextlib.contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A replica that can be killed, and its address."""
    command = [sys.executable, str(HERE / "stand_in.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, f"http://127.0.0.1:{running.stdout.readline().strip()}"
        finally:
            running.kill()
            running.wait()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
