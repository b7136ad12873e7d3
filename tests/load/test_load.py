"""Under load every request gets exactly what it gets alone; a small soak, for every day."""

from __future__ import annotations

import asyncio

import pytest

from .report import Report
from .run import alone, server, together
from .workload import mixed


async def soak(url: str, process: int, pause: float) -> Report:
    work = mixed(60)
    expected = await alone(url, work)
    assert len(set(expected)) > 30
    return await together(
        url, process, work, count=200, clients=24, seconds=300, expected=expected,
        hang_up=0.15, pause=pause,
    )  # fmt: skip


@pytest.mark.parametrize("cache", [(), ("--kv-tokens", "768"), ("--no-prefix-cache",)])
def test_the_same_tokens_under_any_load(cache: tuple[str, ...]) -> None:
    with server(*cache) as (url, process):
        found = asyncio.run(soak(url, process, pause=0.05))
    assert found.requests == 200
    assert (found.different, list(found.errors), found.leaked_blocks) == (0, [], 0)
    assert found.cancelled > 10
