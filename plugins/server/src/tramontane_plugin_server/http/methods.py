"""HEAD wherever there is GET, and an Allow header that names every method of a path."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """Innermost: passes HEAD on as GET, whose body the server leaves out (RFC 9110, 9.3.2).

    Routers know one route that has a path; several may (`/v1/models/unload` is a model's name too),
    so the Allow header of a 405 comes from all of them. routes: the application's, in order.
    """

    def __init__(self, app: ASGIApp, routes: list[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def allowing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                kept = [item for item in message["headers"] if item[0].lower() != b"allow"]
                allow = ", ".join(self._allowed(scope)).encode()
                message["headers"] = [*kept, (b"allow", allow)]
            await send(message)

        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._app(inner, receive, allowing)
        finally:
            # for the metrics; FastAPI says it of its own routes only
            scope["route"] = inner.get("route") or self._route(inner)

    def _allowed(self, scope: Scope) -> Iterator[str]:
        taken = {method for method in METHODS if self._takes(scope, method)}
        if "GET" in taken:
            taken.add("HEAD")
        return (method for method in METHODS if method in taken)

    def _route(self, scope: Scope) -> BaseRoute | None:
        found = (route for route in self._routes if route.matches(scope)[0] is not Match.NONE)
        return next(found, None)

    def _takes(self, scope: Scope, method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in self._routes)
