"""A client of little weight: it shares its two cores with the server that it measures."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What came, and when. status 0: the connection failed. times: of each event with a token."""

    status: int
    text: str = ""
    tokens: int = 0
    cached: int = 0
    started: float = 0.0
    times: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def first(self) -> float:
        """Seconds to the first text."""
        return self.times[0] - self.started


async def ask(
    url: str,
    path: str,
    body: dict[str, Any],
    cancel_after: int | None = None,
    answer: Answer | None = None,
) -> Answer:
    """POST a streaming request; cancel_after: hang up after so many events. answer: to fill, for
    whoever wants to look at it before its end."""
    parts = urlsplit(url)
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    data = json.dumps(asked).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\nconnection: close\r\n\r\n"
    )
    answer = answer or Answer(0)
    answer.started = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
        try:
            writer.write(head.encode() + data)
            answer.status = int((await reader.readline()).split()[1])
            await reader.readuntil(b"\r\n\r\n")
            if answer.status != 200:
                answer.error = (await reader.read()).decode(errors="replace")
                return answer
            async for event in _events(reader):
                _take(answer, event)
                if cancel_after is not None and len(answer.times) >= cancel_after:
                    break
        finally:
            writer.close()
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
        answer.status, answer.error = 0, repr(error)
    return answer


async def _events(reader: asyncio.StreamReader) -> Any:
    """Lines of data, out of the chunks of the transfer."""
    while True:
        line = await reader.readline()
        if not line:
            raise ValueError("the stream has no end")
        if not line.startswith(b"data: "):
            continue  # a chunk's size, a comment, an empty line
        if line.startswith(b"data: [DONE]"):
            return
        yield json.loads(line[6:])


def _take(answer: Answer, event: dict[str, Any]) -> None:
    if "error" in event:
        answer.status, answer.error = 0, json.dumps(event["error"])
        return
    for choice in event["choices"]:
        text = choice["text"] if "text" in choice else choice["delta"].get("content")
        if text or choice["logprobs"]:
            answer.times.append(time.perf_counter())
            answer.text += text
    if usage := event.get("usage"):
        answer.tokens = usage["completion_tokens"]
        answer.cached = usage["prompt_tokens_details"]["cached_tokens"]
