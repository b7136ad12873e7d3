"""`python healthcheck.py FILE`: exit status 0 if the server answers /health.

FILE is what `tramontane serve --address-file FILE` wrote: http://HOST:PORT, https://HOST:PORT or
unix:PATH, so the check follows the settings. It uses nothing but the standard library.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 5
EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses to listen at that stand for all, and one to connect to."""


def connection(address: str) -> http.client.HTTPConnection:
    """Not connected yet. The certificate is not checked: it is for another name than this host's,
    and nothing is sent that is secret."""
    if address.startswith("unix:"):
        found = http.client.HTTPConnection("localhost", timeout=SECONDS)
        found.sock = socket.socket(socket.AF_UNIX)
        found.sock.settimeout(SECONDS)
        found.sock.connect(address.removeprefix("unix:"))
        return found
    url = urlsplit(address)
    host = EVERY.get(url.hostname or "", url.hostname or "")
    if url.scheme == "https":
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(host, url.port, timeout=SECONDS, context=context)
    return http.client.HTTPConnection(host, url.port, timeout=SECONDS)


def main(path: str) -> int:
    """0: it answers. 1: it does not."""
    try:
        asked = connection(Path(path).read_text("utf-8").strip())
        asked.request("GET", "/health")
        return asked.getresponse().status != 200
    except (OSError, http.client.HTTPException, ValueError) as error:
        sys.stderr.write(f"no answer from the server: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
