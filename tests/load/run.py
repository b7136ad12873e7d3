"""Many clients at once against a server, bounded in count and time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from .client import Answer, ask
from .report import Report, figure, loop_time, report, resident

Work = Sequence[tuple[str, dict[str, Any]]]


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[str, int]]:
    """A server of ours: its url and process id."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tramontane", "serve", "--port", str(port)]
    process = subprocess.Popen([*command, "--access-log", "off", *options])
    try:
        while True:
            with contextlib.suppress(OSError):  # none yet, or one that does not answer yet
                urllib.request.urlopen(f"{url}/ready", timeout=5).close()
                break
            if process.poll() is not None:
                raise SystemExit("the server does not start")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


async def alone(url: str, work: Work) -> list[str]:
    """The text of each request when nothing else runs."""
    return [(await ask(url, path, body)).text for path, body in work]


async def together(
    url: str,
    process: int | None,
    work: Work,
    *,
    count: int,
    clients: int,
    seconds: float,
    expected: Sequence[str] | None = None,
    hang_up: float = 0.0,
    pause: float = 0.0,
) -> Report:
    """`count` requests by `clients` at once, each one of `work`.

    hang_up: share of requests whose client goes in the middle. pause: seconds, at most, that a
    client waits before its next. expected: texts to compare with.
    """
    rng = random.Random(1)
    plan = [(i % len(work), rng.random() < hang_up, rng.uniform(0, pause)) for i in range(count)]
    if expected is not None:
        rng.shuffle(plan)
    answers: list[Answer] = []
    cancelled = different = 0
    early = 0
    loop = loop_time(process) if process else 0.0
    started = time.perf_counter()

    async def client() -> None:
        nonlocal cancelled, different, early
        while plan and time.perf_counter() - started < seconds:
            index, leaves, wait = plan.pop()
            await asyncio.sleep(wait)
            path, body = work[index]
            answer = await ask(url, path, body, 2 if leaves else None)
            answers.append(answer)
            cancelled += leaves
            if expected is not None and answer.status == 200:
                whole = expected[index]
                same = whole.startswith(answer.text) if leaves else whole == answer.text
                different += not same
            if process and not early and len(answers) >= count / 10:
                early = resident(process)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    took = time.perf_counter() - started
    loop = loop_time(process) - loop if process else 0.0
    leaked = await _left(url)
    memory = (early, resident(process) if process else 0)
    return report(answers, cancelled, different, took, leaked, memory, loop)


async def _left(url: str) -> int:
    """Blocks that are held once everyone has gone; those that hung up are noticed soon."""
    for _ in range(100):
        held = await asyncio.to_thread(figure, url, "tramontane_kv_cache_blocks_used")
        if not held:
            return 0
        await asyncio.sleep(0.05)
    return int(held)
