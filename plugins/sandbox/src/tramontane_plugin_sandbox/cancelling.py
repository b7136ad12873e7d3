"""What runs in a sandbox ends with the task that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .running import Stop

T = TypeVar("T")
STOPPING = ThreadPoolExecutor(4, "tramontane-stop")
"""Threads that no program waits in, so that one is free to end it."""


async def in_thread(run: Callable[[Stop], T]) -> T:
    """A call in a thread. Where the task is cancelled, the program is stopped, and the thread has
    ended when this raises."""
    stop = Stop()
    waiting = asyncio.ensure_future(asyncio.to_thread(run, stop))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await asyncio.get_running_loop().run_in_executor(STOPPING, stop.now)
        await asyncio.wait([waiting])
        raise
