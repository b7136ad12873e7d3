"""A file that is sent while it is made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import NoReturn

from starlette.types import Send

from .stream import ClientGone, EventStream

log = logging.getLogger(__name__)


class FileStream(EventStream):
    """Parts of a file as they come. What fails before the first becomes a status; what fails later
    breaks the answer off, so that a client does not take it for whole: there is no place for words
    in a file. timeout, send_timeout: as of `EventStream`."""

    def __init__(
        self, parts: AsyncIterator[bytes], media_type: str, *, timeout: float, send_timeout: float
    ) -> None:
        super().__init__(
            parts, _broken, keep_alive=timeout, timeout=timeout, send_timeout=send_timeout
        )
        self.headers["content-type"] = media_type

    async def _break_silence(self, send: Send) -> None:
        await asyncio.Event().wait()  # a comment would be a part of the file


def _broken(error: Exception) -> NoReturn:
    log.error("an answer is broken off: %s", error)
    raise ClientGone from error
