"""`tramontane top`: a running server in a terminal."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tramontane.cli.parser import Parser
from tramontane.errors import UsageError

if TYPE_CHECKING:
    import httpx2 as httpx

KEY = "TRAMONTANE_API_KEY"
URL = "http://127.0.0.1:1234"
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
        (_once if options.once else _live)(url, client, options.interval)
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
    try:
        trust = ssl.create_default_context(cafile=options.ca) if options.ca else True
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE, verify=trust)
    except (OSError, httpx.InvalidURL, UnicodeError) as error:
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
    """The first of a file, whose lines are as `serve --api-key-file` has them, or the variable's."""
    if file is None:
        return os.environ.get(KEY, "")
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--api-key-file {file}: {error}") from error
    words = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not words:
        raise UsageError(f"--api-key-file {file}: there is no key in it")
    return words[0]


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane top",
        description="Show what a running server does: requests, tokens a second, cache, models.",
        epilog=EXAMPLES + f"\n{KEY} in the environment is the key to ask with.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", default=URL, metavar="URL", help=f"default {URL}")
    parser.add_argument("--once", action="store_true", help="print one frame")
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
