"""Pages of the web as text, within limits, and nothing at private addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tramontane.errors import RequestError, UsageError
from tramontane.media.addresses import refuse_host
from tramontane.media.fetch import Fetch

SECONDS = 10.0
MOST_BYTES = 4 << 20
MOST_TEXT = 400_000
"""Characters of a page that are looked at."""
BLANK = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Page:
    """A page's main text."""

    url: str
    title: str
    text: str


@dataclass(frozen=True)
class Reader:
    """Reads pages. only: hosts that alone are read, with their subdomains. block: hosts that are
    not. hosts: HOST or HOST:PORT that may be at private addresses."""

    only: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    _fetch: Fetch = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # a page of an allowed host may not lead to one that is not
        fetch = Fetch(
            hosts=self.hosts,
            seconds=SECONDS,
            most=MOST_BYTES,
            redirects=0 if self.only or self.block else 3,
        )
        object.__setattr__(self, "_fetch", fetch)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Reader:
        """From the toolset's options. Raises UsageError."""
        only, block, hosts = (_listed(options[name]) for name in ("only", "block", "hosts"))
        for host in hosts:
            try:
                refuse_host(host)
            except RequestError as error:
                raise UsageError(f"search.hosts: {error}") from error
        return cls(only, block, hosts)

    def allows(self, url: str) -> bool:
        """Whether the owner lets pages of its host be read."""
        try:
            host = (urlsplit(url).hostname or "").lower().rstrip(".")
        except ValueError:
            return False
        if _among(host, self.block):
            return False
        return not self.only or _among(host, self.only)

    def read(self, url: str) -> Page:
        """A page. Blocks. Raises RequestError."""
        import trafilatura

        if not self.allows(url):
            raise RequestError(f"{url!r:.80}: the owner does not let pages of this host be read")
        data = self._fetch.begin()(url, "page")
        if not looks_like_html(data):
            return Page(url, "", data.decode("utf-8", "replace")[:MOST_TEXT])
        document: Any = trafilatura.bare_extraction(
            data, url=url, include_comments=False, with_metadata=True
        )
        text = "" if document is None else str(document.text or "")
        if not text.strip():
            raise RequestError(f"{url!r:.80} has no text that can be read without a browser")
        title = " ".join(str((document and document.title) or "").split())
        return Page(url, title[:200], BLANK.sub("\n\n", text)[:MOST_TEXT])


def looks_like_html(data: bytes) -> bool:
    """Whether a page is HTML rather than plain text or JSON."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith(b"<") or b"<html" in head or b"<body" in head


def _among(host: str, names: Sequence[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in (text or "").split(",") if part.strip())
