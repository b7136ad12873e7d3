"""`tramontane top`: a running server in a terminal."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tramontane.cli.parser import Parser
from tramontane.errors import UsageError

if TYPE_CHECKING:
    import httpx2 as httpx

KEY = "TRAMONTANE_API_KEY"
NAMED = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}:\s+(\S.*)", re.ASCII)
"""A line with the name of who has the key."""
URL = "http://127.0.0.1:1234"
LEGEND = """\
columns:
  run, wait   requests that are answered, and that wait
  in/s, out/s tokens of prompts, and of answers, a second
  first       from a request's arrival to its first token, on average
  KV          share of the KV cache in use
  hits        share of the prompts' tokens that were found in the prefix cache
  drafts      share of the answers' tokens that a drafter had guessed

"""
EXAMPLES = """\
examples:
  tramontane top
  tramontane top https://models.example:8443 --api-key-file key
  tramontane top --once > frame.txt
"""


def run(argv: list[str]) -> int:
    """Until Ctrl-C, or once."""
    options = _parse(argv)
    if not 0.1 <= options.interval <= 3600:
        raise UsageError(f"--interval {options.interval:g}: from 0.1 to 3600 seconds")
    url = _address(options.url)
    with _client(url, options) as client:
        (_once if options.once or not sys.stdout.isatty() else _live)(url, client, options.interval)
    return 0


def _once(url: str, client: httpx.Client, interval: float) -> None:
    from rich.console import Console

    from .frame import frame
    from .reading import read

    before = read(client)
    time.sleep(interval)  # rates are of the time between two readings
    Console().print(frame(url, before, read(client)))


def _live(url: str, client: httpx.Client, interval: float) -> None:
    """Until Ctrl-C. A server that goes away is waited for."""
    from rich.live import Live
    from rich.panel import Panel
    from rich.text import Text

    from .frame import frame
    from .reading import ServerGone, read

    before = read(client)
    with Live(frame(url, before, before), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                now = read(client)
                live.update(frame(url, before, now), refresh=True)
                before = now
            except ServerGone as error:
                live.update(Panel(Text(f"{error}; trying again")), refresh=True)


def _client(url: str, options: argparse.Namespace) -> httpx.Client:
    import ssl

    import httpx2 as httpx

    from .reading import PATIENCE

    key = _key(options.api_key_file)
    if not key.isascii() or not key.isprintable():
        raise UsageError("the API key has other characters than those of ASCII")
    try:
        trust = ssl.create_default_context(cafile=options.ca) if options.ca else True
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE, verify=trust)
    except (OSError, httpx.InvalidURL) as error:
        what = f"--ca {options.ca}" if isinstance(error, OSError) else url
        raise UsageError(f"{what}: {error}") from error


def _address(url: str) -> str:
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{url!r:.200} is no address of a server, such as {URL}")
    return whole.rstrip("/").removesuffix("/v1")


def _key(file: Path | None) -> str:
    """The first of a file with lines as `serve --api-key-file` has them, or the variable's."""
    if file is None:
        return os.environ.get(KEY, "")
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--api-key-file {file}: {error}") from error
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            named = NAMED.fullmatch(line)
            return (named[1] if named else line).split()[0]
    raise UsageError(f"--api-key-file {file}: there is no key in it")


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane top",
        description="Show what a running server does: requests, tokens a second, cache, models.",
        epilog=LEGEND + EXAMPLES + f"\n{KEY} in the environment is the key to ask with.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", default=URL, metavar="URL", help=f"default {URL}")
    parser.add_argument(
        "--once", action="store_true", help="print one frame, as without a terminal"
    )
    parser.add_argument(
        "--interval", type=float, default=1.0, metavar="S", help="between readings; default 1"
    )
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="the first key in it is asked with"
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="the authority of a server's own certificate"
    )
    return parser.parse_args(argv)
