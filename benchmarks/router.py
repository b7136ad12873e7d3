"""`python benchmarks/router.py`: what `tramontane route` adds to a request and a token, as medians.

With --serve N: the prefix cache's hits of N servers of ours behind a router, and of one with as
much cache as all of them, in the same conversations.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

STAND_IN = Path(__file__).parents[1] / "plugins/router/tests/stand_in.py"
PROMPT = "What is the capital of France, and why? " * 200  # about 2,000 tokens
CONVERSATIONS, TURNS = 64, 6


@contextlib.contextmanager
def running(command: list[str], pattern: str) -> Iterator[tuple[int, str]]:
    """A program: its process id, and what the pattern finds in what it says."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = ""
        while not (found := re.search(pattern, said)):
            line = process.stdout.readline().decode()
            if not line:
                raise SystemExit(said)
            said += line
        try:
            yield process.pid, found[1]
        finally:
            process.terminate()
            process.stdout.read()


def stand_in(between: float) -> Any:
    return running([sys.executable, str(STAND_IN), "--between", str(between)], r"^(\d+)\n")


def program(*options: str) -> Any:
    command = [sys.executable, "-m", "tramontane", *options, "--port", "0", "--access-log", "off"]
    return running(command, r"ready at (\S+)/v1")


async def stream(client: aiohttp.ClientSession, url: str, tokens: int) -> tuple[float, list[float]]:
    """Seconds to the first event, and of each event between its sending and its arrival."""
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": tokens, "stream": True}
    begun = time.perf_counter()
    lags: list[float] = []
    first = 0.0
    async with client.post(f"{url}/v1/chat/completions", json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                now = time.perf_counter_ns()
                first = first or time.perf_counter() - begun
                lags.append((now - json.loads(line[6:])["at"]) / 1e9)
    return first, lags


async def added(direct: str, routed: str, pid: int) -> None:
    async with aiohttp.ClientSession() as client:
        firsts: dict[str, list[float]] = {direct: [], routed: []}
        lags: dict[str, list[float]] = {direct: [], routed: []}
        for number in range(220):
            for url in (direct, routed):
                found = (await stream(client, url, 2))[0]
                if number >= 20:
                    firsts[url].append(found)
        spent = 0.0
        for _ in range(20):
            for url in (direct, routed):
                before = cpu_seconds(pid)
                for _, found in await asyncio.gather(*(stream(client, url, 50) for _ in range(4))):
                    lags[url] += found[1:]
                spent += (cpu_seconds(pid) - before) * (url == routed)
    for name, figures, unit in (("first token", firsts, 1e3), ("a token", lags, 1e6)):
        one, other = (statistics.median(figures[url]) * unit for url in (direct, routed))
        mark = "ms" if unit == 1e3 else "us"
        print(f"{name}: {one:.2f} {mark} direct, {other:.2f} routed: {other - one:.2f} added")
    print(f"the router's processor time: {spent / len(lags[routed]) * 1e6:.0f} us a token")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def converse(client: aiohttp.ClientSession, url: str, name: int) -> None:
    rng = random.Random(name)
    messages = [{"role": "system", "content": "You are a helpful assistant."}]
    for turn in range(TURNS):
        words = " ".join(str(rng.randint(10, 99)) for _ in range(rng.randint(2, 8)))
        messages.append({"role": "user", "content": f"{turn}: {words}?"})
        body = {"messages": messages, "max_tokens": rng.randint(4, 24), "temperature": 0}
        async with client.post(f"{url}/v1/chat/completions", json=body) as answer:
            said = await answer.json()
            assert answer.status == 200, said
        content = said["choices"][0]["message"]["content"]
        messages.append({"role": "assistant", "content": content})


async def hits(url: str) -> float:
    """The share of prompts that was in the caches."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as client:
        slots = asyncio.Semaphore(16)

        async def one(name: int) -> None:
            async with slots:
                await converse(client, url, name)

        await asyncio.gather(*(one(name) for name in range(CONVERSATIONS)))
        async with client.get(f"{url}/metrics") as answer:
            page = await answer.text()
    found = {
        kind: sum(
            map(float, re.findall(rf"(?m)^tramontane_prefix_cache_{kind}_total\S* (\S+)", page))
        )
        for kind in ("hits", "queries")
    }
    return found["hits"] / found["queries"]


def main() -> None:
    parser = argparse.ArgumentParser("router.py", description=__doc__)
    parser.add_argument("--serve", type=int, metavar="N", help="servers of ours, and their hits")
    parser.add_argument("--kv-tokens", type=int, default=16_384, help="of each server")
    options = parser.parse_args()
    if not options.serve:
        with stand_in(0.005) as (_, port):
            direct = f"http://127.0.0.1:{port}"
            with program("route", "--to", direct) as (pid, routed):
                asyncio.run(added(direct, routed, pid))
        return
    size = options.kv_tokens
    with program("serve", "--kv-tokens", str(size * options.serve)) as (_, url):
        one = asyncio.run(hits(url))
    with contextlib.ExitStack() as stack:
        replica = ("serve", "--kv-tokens", str(size), "--threads", "1")
        urls = [stack.enter_context(program(*replica))[1] for _ in range(options.serve)]
        to = [word for each in urls for word in ("--to", each)]
        _, url = stack.enter_context(program("route", *to))
        several = asyncio.run(hits(url))
    print(f"hits: {one:.4f} in one server, {several:.4f} in {options.serve}: {several / one:.3f}")


if __name__ == "__main__":
    main()
