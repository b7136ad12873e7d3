"""What readers of running answers notice while somebody else's long prompt is computed."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from .client import Answer, ask
from .report import percentiles
from .workload import fixed

ALONE = 5.0
"""Seconds for which the answers run by themselves."""


async def beside(url: str, streams: int, prompt: int) -> list[str]:
    """Lines that say how tokens followed each other before, and while `prompt` tokens went in."""
    answers = [Answer(0) for _ in range(streams)]
    running = [
        # with logprobs every token is an event, whether or not it has a text
        asyncio.create_task(ask(url, path, {**body, "logprobs": 0}, answer=answer))
        for answer, (path, body) in zip(answers, fixed(streams, 16, 4000), strict=True)
    ]
    while not all(answer.times for answer in answers):
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    await asyncio.sleep(ALONE)
    came = time.perf_counter()
    ((path, body),) = fixed(1, prompt, 1, seed=1)
    long = await ask(url, path, body)
    gone = time.perf_counter()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    alone, meanwhile = _gaps(answers, began, came), _gaps(answers, came, gone)
    median = percentiles(alone)[0]
    half, _, most = percentiles(meanwhile)
    return [
        f"{streams} answers alone: {1e3 * median:.1f} ms between tokens (median)",
        f"while a prompt of {prompt} tokens went in, for {gone - came:.1f} s: "
        f"{1e3 * half:.1f} ms (median), {1e3 * most:.1f} ms (99th percentile), "
        f"{most / median:.2f} times the median alone",
        *([f"the long prompt failed: {long.error}"] if long.status != 200 else []),
    ]


def _gaps(answers: list[Answer], first: float, last: float) -> list[float]:
    return [b - a for answer in answers for a, b in pairwise(answer.times) if first <= a < last]
