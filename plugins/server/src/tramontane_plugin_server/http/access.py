"""A line in the log for every request, an id in its answer, and the HTTP metrics."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import answer, anthropic

if TYPE_CHECKING:
    from prometheus_client import Gauge

log = logging.getLogger("tramontane.access")
GIVEN = re.compile(rb"[\x21-\x7e]{1,128}")
"""What a client may call its request."""


class HttpMetrics(Protocol):
    """What counts requests, of a server or of what stands before servers."""

    in_flight: Gauge

    def http(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered. path: a template."""

    def key_request(self, key: str, status: int) -> None:
        """A request with a named key was answered."""

    def key_tokens(self, key: str, tokens: int) -> None:
        """A request with a named key took tokens."""


@dataclass
class Spent:
    """What a request took: prompt and answer count tokens, and cached those of the prompt that were
    computed before. model: empty where none was asked. key: the name of the API key, if it has one.
    owner: whose sessions it may use.
    charge: called with tokens as they are known."""

    model: str = ""
    prompt: int = 0
    answer: int = 0
    cached: int = 0
    key: str = ""
    owner: str = ""
    charge: Callable[[int], None] | None = None

    def add(self, *, prompt: int = 0, answer: int = 0, cached: int = 0) -> None:
        """Count tokens. cached: those of the prompt among them."""
        self.prompt += prompt
        self.answer += answer
        self.cached += cached
        if self.charge is not None:
            self.charge(prompt + answer)


_spent: ContextVar[Spent] = ContextVar("spent")


def spent(model: str) -> Spent:
    """Where what this request takes is counted; it is known to be of a model now."""
    found = _spent.get(None) or Spent()
    found.model = model
    return found


def owner() -> str:
    """Whose sessions this request may use; empty on a server without keys and router."""
    found = _spent.get(None)
    return "" if found is None else found.owner


def belongs_to(key: str) -> Spent:
    """The request's account, which is of this key's name from now on."""
    found = _spent.get(None) or Spent()
    found.key = key
    return found


class Access:
    """Outermost: what happens below, it has seen. style: text, json or off."""

    def __init__(self, app: ASGIApp, style: str, metrics: HttpMetrics) -> None:
        self._app, self._style, self._metrics = app, style, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        identity = given if GIVEN.fullmatch(given) else uuid.uuid4().hex.encode()
        scope.setdefault("state", {})["request_id"] = identity.decode()
        taken = Spent()
        _spent.set(taken)
        started, status, size = time.perf_counter(), 499, 0  # 499: gone before an answer

        async def send_counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity)]
                if ignored := scope["state"].get("ignored"):
                    message["headers"].append((b"x-tramontane-ignored", ignored))
                if anthropic(scope):  # as Anthropic calls it
                    message["headers"].append((b"request-id", identity))
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            logging.getLogger(__name__).exception("%s failed", scope["path"])
            if status != 499:
                raise  # too late for another answer: the connection is cut
            await answer(RuntimeError(), scope)(scope, receive, send_counted)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.in_flight.dec()
            route = scope.get("route")
            path = getattr(route, "path", "other")  # templates only: paths are the clients'
            self._metrics.http(scope["method"], path, status, seconds)
            self._metrics.key_request(taken.key, status)
            if self._style != "off":
                log.info(self._line(scope, identity.decode(), status, seconds, size, taken))

    def _line(
        self, scope: Scope, identity: str, status: int, seconds: float, size: int, taken: Spent
    ) -> str:
        client = (scope.get("client") or ("-",))[0]
        if self._style == "json":
            entry = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "id": identity, "client": client,
                "method": scope["method"], "path": scope["path"], "status": status,
                "seconds": round(seconds, 4), "bytes": size,
            }  # fmt: skip
            if taken.key:
                entry["key"] = taken.key
            if taken.model:
                entry |= {
                    "model": taken.model, "prompt_tokens": taken.prompt,
                    "cached_tokens": taken.cached, "completion_tokens": taken.answer,
                }  # fmt: skip
            return json.dumps(entry)
        path = json.dumps(scope["path"])[1:-1]  # no line of a client's making
        line = f"{client} {scope['method']} {path} {status} {seconds:.3f}s {size}B {identity}"
        if taken.key:
            line += f" key={taken.key}"
        if taken.model:
            line += f" {json.dumps(taken.model)} {taken.prompt}+{taken.answer} tokens"
        return line
