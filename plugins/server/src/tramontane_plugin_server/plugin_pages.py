"""Pages of plugins: their files at fixed paths, read when the server starts, and applications."""

from __future__ import annotations

import gzip
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from tramontane.errors import PluginBroken, PluginConflict
from tramontane.pages import INDEX, check_path, read_files
from tramontane.plugin import Page, load
from tramontane.registry import Registry

log = logging.getLogger(__name__)
TYPES = {
    "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
    "json": "application/json", "map": "application/json", "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json", "wasm": "application/wasm", "svg": "image/svg+xml",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "ico": "image/x-icon", "woff2": "font/woff2",
}  # fmt: skip
PACKED = ("text/", "application/json", "application/manifest+json", "image/svg+xml")
KEPT = ("v1", "mcp")
"""First parts of paths that are the server's own, with all that is below."""
WORTH_PACKING = 1 << 10
"""Bytes."""
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "font-src 'self'",
    "img-src 'self' data: blob:", "media-src 'self' data: blob:", "connect-src 'self'",
    "manifest-src 'self'", "worker-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""Nothing from other hosts, and no script or style that is not a file of the server's."""
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin", "cache-control": "no-cache",
    "permissions-policy": "camera=(), geolocation=(), payment=(), usb=(), microphone=(self)",
}  # fmt: skip


class PageFile:
    """One file, answered from memory; 304 where the browser has it, packed where it may be."""

    def __init__(self, name: str, data: bytes) -> None:
        ending = name.rpartition(".")[2].lower()
        self._data = data
        self._media_type = TYPES.get(ending, "application/octet-stream")
        self._tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        self._packs = self._media_type.startswith(PACKED) and len(data) >= WORTH_PACKING

    async def answer(self, request: Request) -> Response:
        headers = {**HEADERS, "etag": self._tag}
        if self._packs:
            headers["vary"] = "accept-encoding"
        known = request.headers.get("if-none-match", "").split(",")
        if self._tag in (tag.strip().removeprefix("W/") for tag in known):
            return Response(status_code=304, headers=headers)
        data = self._data
        if self._packs and "gzip" in request.headers.get("accept-encoding", ""):
            data = self._packed
            headers["content-encoding"] = "gzip"
        return Response(data, media_type=self._media_type, headers=headers)

    @cached_property
    def _packed(self) -> bytes:
        return gzip.compress(self._data, 6, mtime=0)


def add(app: FastAPI) -> frozenset[str]:
    """Give an application the pages of all plugins, and return the paths that need no API key.

    A page that cannot be had is logged and left out. Raises PluginConflict for two at one path.
    """
    registry = Registry.from_environment()
    own = list(app.router.routes)
    taken: dict[str, str] = {}
    routes: list[BaseRoute] = []
    opened: set[str] = set()
    for page in sorted(registry.all(Page), key=lambda one: one.name):
        if page.path in taken:
            raise PluginConflict(
                f"the pages {taken[page.path]!r} and {page.name!r} both want the path {page.path}; "
                "uninstall the distribution of one, or leave it out of TRAMONTANE_PLUGINS; "
                "--no-pages serves none"
            )
        taken[page.path] = page.name
        try:
            found = list(_routes(page, own))
        except Exception as error:  # noqa: BLE001 - a plugin in trouble takes no server down
            log.warning("the page %r is left out: %s", page.name, error)
            continue
        routes += found
        opened |= {route.path for route in found if isinstance(route, Route)}
    # deeper paths first, and all before the server's own "/"
    routes.sort(
        key=lambda route: (isinstance(route, Mount), -getattr(route, "path", "").count("/"))
    )
    app.router.routes[:0] = routes
    return frozenset(opened)


def _routes(page: Page, own: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    check_path(page)
    _check_free(page.path, own)
    if page.app is not None:
        yield Mount(page.path, app=load(page.app)())
        return
    root = page.path.rstrip("/")
    for path, data in read_files(page).items():
        _check_free(f"{root}/{path}", own)
        answer = PageFile(path, data).answer
        yield _route(f"{root}/{path}", answer)
        if path == INDEX or path.endswith(f"/{INDEX}"):
            folder = f"{root}/{path.removesuffix(INDEX)}"
            yield _route(folder, answer)
            if folder != "/":  # so that what it loads is found below it
                yield _route(folder.rstrip("/"), _redirect)


def _check_free(path: str, own: Sequence[BaseRoute]) -> None:
    """Raises PluginBroken for a path of the server's own; "/" it lends."""
    scope = {"type": "http", "path": path, "root_path": "", "method": "GET", "headers": []}
    taken = any(route.matches(scope)[0] is not Match.NONE for route in own)
    if path != "/" and (taken or path.split("/")[1] in KEPT):
        raise PluginBroken(f"{path} is the server's own")


def _route(path: str, endpoint: Callable[..., object]) -> Route:
    return Route(path, endpoint, methods=["GET"], include_in_schema=False)


async def _redirect(request: Request) -> Response:
    return RedirectResponse(request.scope["path"].rpartition("/")[2] + "/")
