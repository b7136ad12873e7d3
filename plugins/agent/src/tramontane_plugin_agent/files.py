"""The toolset `files`: a conversation's own files, with limits and an expiry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tramontane.agent import inside
from tramontane.chat.toolbox import Function, function_tool
from tramontane.errors import RequestError, UsageError
from tramontane.tools import ToolResult
from tramontane.toolset import ToolContext

SLICE = 32_000
"""Characters of a file that one call reads."""


@asynccontextmanager
async def open_files(context: ToolContext) -> AsyncIterator[Files]:
    """Raises UsageError for limits that are none."""
    for name in ("max_bytes", "max_file_bytes", "max_files", "hours"):
        if not context.options[name] > 0:
            raise UsageError(f"files.{name}={context.options[name]} should be above 0")
    yield Files(context)


class Files:
    """The files of one conversation. What nobody changed for `hours` is removed."""

    def __init__(self, context: ToolContext) -> None:
        self._folder, options = context.folder, context.options
        self._most_bytes: int = options["max_bytes"]
        self._most_of_one: int = options["max_file_bytes"]
        self._most_files: int = options["max_files"]
        self._seconds: float = options["hours"] * 3600
        self._writing = asyncio.Lock()

    def functions(self) -> Sequence[Function]:
        return [
            function_tool(self.list_files, risk="read"),
            function_tool(self.read_file, risk="read"),
            function_tool(self.write_file, risk="write"),
        ]

    async def list_files(self) -> str:
        """List this conversation's files and their bytes."""
        found = await asyncio.to_thread(self._there)
        return "\n".join(f"{name} ({size})" for name, size in found) or "there are no files"

    async def read_file(self, name: str, offset: int = 0) -> str:
        """Read a text file of this conversation.

        offset: the character to begin at
        """
        data = await asyncio.to_thread(inside.read, self._folder, name, self._most_of_one)
        return text_slice(name, data, offset)

    async def write_file(self, name: str, text: str) -> ToolResult:
        """Write or replace a text file of this conversation."""
        async with self._writing:
            size = await asyncio.to_thread(self._write, name, text.encode())
        path = self._folder / Path(*inside.parts_of(name))
        return ToolResult(text=f"wrote {name} ({size} bytes)", files=[path])

    def _there(self) -> list[tuple[str, int]]:
        """Names and sizes, after what has expired is removed."""
        since = time.time() - self._seconds
        found = inside.listed(self._folder, self._most_files + 1, since=since)
        return [(name, about.st_size) for name, about in found]

    def _write(self, name: str, data: bytes) -> int:
        if len(data) > self._most_of_one:
            raise RequestError(
                f"{name} would have {len(data):,} bytes; a file may have {self._most_of_one:,}"
            )
        parts = "/".join(inside.parts_of(name))
        others = [(each, size) for each, size in self._there() if each != parts]
        if len(others) >= self._most_files:
            raise RequestError(f"there are {len(others)} files already, and no more are allowed")
        if sum(size for _, size in others) + len(data) > self._most_bytes:
            raise RequestError(
                f"the files would have more than {self._most_bytes:,} bytes together"
            )
        inside.write(self._folder, name, data)
        return len(data)


def text_slice(name: str, data: bytes, offset: int) -> str:
    """A part of a text file for a model. Raises RequestError for what is no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is no text: {len(data):,} bytes of something else") from error
    start = max(offset, 0)
    part = text[start : start + SLICE]
    end = start + len(part)
    rest = f"\n(characters {start} to {end} of {len(text)})" if len(part) < len(text) else ""
    return part + rest
