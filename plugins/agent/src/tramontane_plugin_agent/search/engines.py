"""Search engines: a question to pages that may answer it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

from tramontane.errors import RequestError, TramontaneError, UsageError
from tramontane.media.fetch import Fetch

BRAVE = "https://api.search.brave.com/res/v1/web/search"
KEY = "BRAVE_API_KEY"
SECONDS = 15.0
MOST_BYTES = 4 << 20
ENGINES = ("auto", "ddgs", "searxng", "brave")


@dataclass(frozen=True)
class Found:
    """A page that an engine names. snippet: what the engine shows of it."""

    url: str
    title: str
    snippet: str


Engine: TypeAlias = Callable[[str, int], list[Found]]
"""(query, how many) -> pages. Blocks. Raises TramontaneError."""


def engine_of(options: Mapping[str, Any]) -> Engine:
    """The engine that the options name; by default SearxNG where there is a url, Brave where there
    is a key, else ddgs. Raises UsageError."""
    name, url, key = options["engine"], options["url"], _key(options["key_file"])
    if name not in ENGINES:
        raise UsageError(f"search.engine={name!r:.40} should be one of {', '.join(ENGINES)}")
    if name == "auto":
        name = "searxng" if url else "brave" if key else "ddgs"
    if name == "searxng":
        if not url or urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(
                f"search.url={url!r:.80} should be the address of a SearxNG server: "
                "--tool-option search.url=https://HOST"
            )
        return partial(searxng, url)
    if name == "brave":
        if not key:
            raise UsageError(f"search.engine=brave needs a key: {KEY}, or search.key_file=PATH")
        return partial(brave, key)
    return ddgs


def searxng(url: str, query: str, count: int) -> list[Found]:
    """A SearxNG server, which the owner named: it may be at a private address."""
    parts = urlsplit(url)
    asked = f"{url.rstrip('/')}/search?{urlencode({'q': query, 'format': 'json'})}"
    try:
        value = _json(asked, (parts.netloc.rpartition("@")[2],))
    except TramontaneError as error:
        raise TramontaneError(
            f"the search server failed: {error} (SearxNG answers in JSON only where its settings "
            "list json under search.formats)"
        ) from error
    return _found(_list(value, "results"), "content")[:count]


def brave(key: str, query: str, count: int) -> list[Found]:
    """Brave's API."""
    asked = f"{BRAVE}?{urlencode({'q': query, 'count': min(count, 20)})}"
    value = _json(asked, (), {"X-Subscription-Token": key})
    web = value.get("web") if isinstance(value, dict) else None
    return _found(_list(web, "results"), "description")[:count]


def ddgs(query: str, count: int) -> list[Found]:
    """Public engines, by the package ddgs."""
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException

    try:
        rows = DDGS(timeout=int(SECONDS)).text(query, max_results=count)
    except DDGSException as error:
        raise TramontaneError(f"the search failed: {str(error)[:200]}") from error
    renamed = [{**row, "url": row.get("href"), "content": row.get("body")} for row in rows]
    return _found(renamed, "content")[:count]


def _json(url: str, hosts: Sequence[str], headers: Mapping[str, str] | None = None) -> Any:
    fetch = Fetch(hosts=hosts, seconds=SECONDS, most=MOST_BYTES, redirects=0)
    data = fetch.begin()(url, "page", headers)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{urlsplit(url).hostname} sends no JSON") from error


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _found(rows: Sequence[Any], snippet: str) -> list[Found]:
    found: dict[str, Found] = {}
    for row in rows:
        url = row.get("url") if isinstance(row, dict) else None
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            title, text = (
                " ".join(str(row.get(name) or "").split()) for name in ("title", snippet)
            )
            found.setdefault(url, Found(url, title[:200], text[:1000]))
    return list(found.values())


def _key(path: str | None) -> str:
    if path is None:
        return os.environ.get(KEY, "").strip()
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"search.key_file: cannot read {path}: {error}") from error
