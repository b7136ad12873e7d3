"""`tramontane web`: everything of `tramontane serve`, and a browser once its models are loaded."""

from __future__ import annotations

import sys
import threading
import webbrowser
from urllib.parse import urlsplit

from tramontane.errors import UsageError

from .plugin import WEB

NO_OPEN = "--no-open"
ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Addresses that are all of a machine's, and how its own browser reaches one of them."""


def run(argv: list[str]) -> int:
    """Serve until stopped by a signal. Raises TramontaneError."""
    from tramontane_plugin_server.serve import serve_as

    given = [argument for argument in argv if argument != NO_OPEN]
    if "--no-pages" in given:
        raise UsageError("--no-pages leaves nothing to open: use tramontane serve")
    switches = {NO_OPEN: "print the address of the page, and open no browser"}
    ready = say if NO_OPEN in argv else show
    return serve_as("web", WEB, given, switches=switches, ready=ready)


def show(address: str) -> None:
    """Say where the page is, and open it in the user's browser, which may take a while."""
    say(address)
    if not address.startswith("unix:"):
        threading.Thread(target=webbrowser.open, args=(page_at(address),), daemon=True).start()


def say(address: str) -> None:
    """Say where the page is."""
    print(f"chat page: {page_at(address)}", file=sys.stderr, flush=True)


def page_at(address: str) -> str:
    """Where a browser of this machine finds the page of a server that listens at an address."""
    parts = urlsplit(address)
    host = ANY.get(parts.hostname or "")
    return f"{parts.scheme}://{host}:{parts.port}/" if host else f"{address}/"
