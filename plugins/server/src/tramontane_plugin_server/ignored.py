"""Fields that nobody here knows: passed over, named in a header of the answer and once in the log,
or refused where the server's owner wants that."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from .built_in import toolset_of
from .http.errors import ApiError
from .openai.fields import RequestBody
from .openai.tool_fields import UnsupportedTool

log = logging.getLogger(__name__)
MOST_NAMES = 32
"""Names in the header."""
LONGEST_NAME = 96
MOST_LOGGED = 256
"""Different names in the log, until the server stops."""
NOTHING_ASKED = frozenset({"api-version", "beta"})
"""Names of query strings that clients send with every request, and that ask for nothing here."""
UNSAFE = re.compile(r"[^A-Za-z0-9_.$@/:\[\]?=+-]")
PLACE = re.compile(r"\.\d+(?=\.|$)")


class IgnoredLog:
    """A line for every name, the first time that it is seen."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, route: str, names: list[str]) -> None:
        """names: of a request to a route, fit to be shown."""
        for name in names:
            key = f"{route} {name}"
            if key in self._seen or len(self._seen) > MOST_LOGGED:
                continue
            self._seen.add(key)
            if len(self._seen) > MOST_LOGGED:
                log.warning("ignored fields have %d names by now: no more are logged", MOST_LOGGED)
            else:
                log.warning("%s: the field %s is ignored (logged once)", route, name)


class Route(APIRoute):
    """A route whose requests may have fields that are not known."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _watched(endpoint), **options)


def _watched(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """An endpoint that is called once what was asked is clean of unknown fields."""
    if hasattr(endpoint, "watched"):  # a router was included in another one
        return endpoint

    @functools.wraps(endpoint)
    async def call(**given: Any) -> Any:
        request = next(one for one in given.values() if isinstance(one, Request))
        found: dict[str, Any] = {}
        queried = False
        for value in given.values():
            if isinstance(value, RequestBody):
                is_query = isinstance(value, Queried)
                queried |= is_query
                _take(value, "?" if is_query else "", found)
        if not queried:
            names = [name for name in request.query_params if name not in NOTHING_ASKED]
            found |= dict.fromkeys(f"?{shown(name)}" for name in names)
        acting = request.app.state.serving.acting
        on = [] if acting is None else acting.names
        found = {name: why for name, why in found.items() if _built_in(name) not in on}
        if found:
            pass_over(request, found)
        return await endpoint(**given)

    call.watched = True  # type: ignore[attr-defined]
    return call


def _built_in(name: str) -> str | None:
    """The toolset that does what an unsupported tool is for."""
    return toolset_of(name.rpartition(".type=")[2])


def unknown_in(request: Request, body: RequestBody) -> None:
    """The same for what an endpoint has read itself. Raises ApiError as `pass_over`."""
    found: dict[str, Any] = {}
    _take(body, "", found)
    if found:
        pass_over(request, found)


class Queried(RequestBody):
    """The query string of a route."""

    model_config = ConfigDict(strict=False)


def shown(name: str) -> str:
    """A name of a client's making, fit for a header and the log."""
    name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
    return UNSAFE.sub("?", name)


def _take(value: Any, path: str, found: dict[str, Any]) -> None:
    """Take unknown fields out of a request. path: of the value, with a dot behind."""
    if isinstance(value, UnsupportedTool):
        found.setdefault(shown(f"{path}{value.what}"), value.why)
    elif isinstance(value, BaseModel):
        more = value.__pydantic_extra__
        if isinstance(value, RequestBody) and more:
            for name in more:
                if len(found) > MOST_NAMES:
                    break
                found.setdefault(shown(f"{path}{name[:LONGEST_NAME]}"))
            value.__pydantic_fields_set__.difference_update(more)
            more.clear()
        for name, field in type(value).model_fields.items():
            _take(getattr(value, name), f"{path}{field.alias or name}.", found)
    elif isinstance(value, list) and value and isinstance(value[0], (BaseModel, list)):
        for index, one in enumerate(value):
            _take(one, f"{path}{index}.", found)


def pass_over(request: Request, found: dict[str, Any]) -> None:
    """Name fields in the answer and the log. found: names, and why a strict server refuses each.

    Raises ApiError if it is one."""
    serving = request.app.state.serving
    first, why = next(iter(found.items()))
    if serving.settings.strict_fields:
        raise ApiError(
            400, why or f"unknown parameter {first!r}: it is unknown, and this server"
            " refuses such fields; /docs lists those that are known",
            param=first, code="unsupported_parameter" if why else "unknown_parameter",
        )  # fmt: skip
    names = list(dict.fromkeys(PLACE.sub("[]", name) for name in found))
    if len(names) > MOST_NAMES:
        names[MOST_NAMES:] = ["..."]
    request.scope["state"]["ignored"] = ", ".join(names).encode("ascii")
    serving.ignored.add(f"{request.method} {request.scope['route'].path}", names)
