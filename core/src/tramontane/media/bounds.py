"""Bytes of media in URLs, within a limit."""

from __future__ import annotations

import base64
import binascii
import re

from tramontane.errors import RequestError

MOST_BYTES = 64 << 20
"""Bytes of a file."""
DATA = re.compile(r"data:[\w.+/-]*(;[\w.+=-]+)*;base64,", re.IGNORECASE)


def data_of(url: str, where: str) -> bytes:
    """The bytes of a data: URL. Raises RequestError."""
    found = DATA.match(url)
    if found is None:
        raise RequestError(
            f"{where}: {url[:40]!r} is no data: URL in base64 (data:TYPE;base64,...)"
        )
    if len(url) > MOST_BYTES * 4 // 3 + 256:
        raise RequestError(f"{where}: the file has more than {MOST_BYTES >> 20} MiB; reduce it")
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{where}: this is not valid base64: {error}") from error
