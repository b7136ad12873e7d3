"""Requests of the engine as parts of a piece of work."""

from __future__ import annotations

import queue
from collections.abc import Generator
from typing import TYPE_CHECKING

from tramontane.engine.engine import Engine
from tramontane.engine.request import Event, Finished, Request, RequestResult, Token
from tramontane.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 0.1
"""Seconds after which work that waits for the engine gives way to other work, or is cancelled."""


def answered(engine: Engine, request: Request) -> Generator[Token | None, None, RequestResult]:
    """Run a request: yields its tokens, and None while there is none, and returns how it ended. The
    request is cancelled where the work is closed.

    Raises RequestError where it failed or the engine was closed, EngineBusy where the engine has no
    room for it, ModelLost.
    """
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    cancel: Callable[[], None] = engine.submit(request, events.put)
    try:
        while True:
            try:
                event = events.get(timeout=PATIENCE)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, Finished):
                break
            yield event
    finally:
        cancel()
    result = event.result
    result.check_room()
    if result.error is not None:
        raise RequestError(f"the request failed: {result.error}")
    if result.finish_reason == "cancelled":
        raise RequestError("the engine was closed before the answer")
    return result
