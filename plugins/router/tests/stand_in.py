"""A replica without a model, in the standard library; `python stand_in.py` prints its port.

Its answers depend on the prompt only. Its prefix cache has blocks of 16 characters of the messages
and a limit, and says in /metrics what was found there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections import OrderedDict
from typing import Any

TOKEN = 4
"""Characters, for the cache's count."""


class Cache:
    """Blocks of text by everything up to their end, the longest unused forgotten first."""

    def __init__(self, most: int) -> None:
        self.most, self.hits, self.queries = most, 0, 0
        self.blocks: OrderedDict[bytes, None] = OrderedDict()

    def look_up(self, text: str) -> None:
        self.queries += len(text) // TOKEN
        self._visit(text, count=True)

    def store(self, text: str) -> None:
        self._visit(text, count=False)

    def _visit(self, text: str, *, count: bool) -> None:
        last, there, keys = b"", True, []
        for start in range(0, len(text) - 15, 16):
            last = hashlib.md5(last + text[start : start + 16].encode()).digest()
            there = there and last in self.blocks
            self.hits += 16 // TOKEN if there and count else 0
            keys.append(last)
        for key in reversed(keys):
            self.blocks[key] = None
            self.blocks.move_to_end(key)
        while len(self.blocks) > self.most:
            self.blocks.popitem(last=False)


def words_of(prompt: str, count: int) -> list[str]:
    """The answer to a prompt."""
    seed = hashlib.md5(prompt.encode()).hexdigest()
    return [f"{seed[i % 28 : i % 28 + 4]} " for i in range(count)]


class StandIn:
    """One replica. delay: seconds to the first word, and between words."""

    def __init__(self, blocks: int = 1 << 20, first: float = 0.0, between: float = 0.0) -> None:
        self.cache, self.first, self.between = Cache(blocks), first, between
        self.asked = 0
        self.running = 0
        self.adapters: list[str] = []
        self.responses: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        self.refuse: tuple[int, str] | None = None
        self.stopping = False
        self.slow = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._answering: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> int:
        self.server = await asyncio.start_server(self._client, "127.0.0.1", port)
        return int(self.server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """At once, as a process that is killed."""
        self.server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def drain(self) -> None:
        """As SIGTERM does it: who connects is refused, and what is being answered goes on."""
        self.stopping = True
        self.server.close()
        for writer in self._writers - self._answering:
            writer.close()
        while self.running:
            await asyncio.sleep(0.005)
        for writer in list(self._writers):
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                method, path, _ = first.split(" ")
                headers = {k.lower(): v.strip() for k, v in (one.split(":", 1) for one in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.running += 1
                self._answering.add(writer)
                try:
                    await self._answer(method, path, headers, body, writer)
                finally:
                    self.running -= 1
                    self._answering.discard(writer)
                if self.stopping:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        if path == "/ready" and self.stopping:
            return send(writer, 503, {"status": "stopping"})
        if path in ("/health", "/ready"):
            await asyncio.sleep(self.slow)
            return send(writer, 200, {"status": "ok"})
        if path == "/metrics":
            return self._metrics(writer)
        if path == "/v1/models":
            names = ["default", *self.adapters]
            return send(writer, 200, {"data": [{"id": name} for name in names]})
        self.asked += 1
        self.headers.append(headers)
        if self.refuse:
            status, code = self.refuse
            return send(writer, status, {"error": {"message": "no", "code": code}})
        if method == "GET" or path.startswith(("/v1/responses/", "/v1/agent/")):
            return self._stored(method, path, writer)
        asked: Any = None
        if headers.get("content-type") == "application/json":
            asked = json.loads(body)
        if path.endswith("_lora_adapter"):
            return self._adapter(path, asked, writer)
        if asked is None or path not in (
            "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"
        ):  # fmt: skip
            return send(writer, 200, {"path": path, "bytes": len(body)})
        return await self._generate(path, asked, writer)

    async def _generate(self, path: str, asked: Any, writer: asyncio.StreamWriter) -> None:
        before = asked.get("previous_response_id")
        if before and before not in self.responses:
            missing = {"message": "?", "code": "previous_response_not_found"}
            return send(writer, 400, {"error": missing})
        text = asked.get("prompt") or asked.get("input") or ""
        for message in asked.get("messages", ()):
            text += f"<{message['role']}>{message['content']}"
        text = f"{text}<assistant>"
        self.cache.look_up(text)
        words = words_of(text, asked.get("max_tokens", 8))
        self.cache.store(text + "".join(words))
        await asyncio.sleep(self.first)
        identity = f"resp_{os.urandom(16).hex()}"
        if path == "/v1/responses":
            self.responses[identity] = words
        if not asked.get("stream"):
            await asyncio.sleep(self.between * len(words))
            return send(writer, 200, {
                "id": identity, "choices": [{"message": {"content": "".join(words)}}],
                "pid": os.getpid(),
            })  # fmt: skip
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for number, word in enumerate(words):
            if number:
                await asyncio.sleep(self.between)
            piece = {"type": "delta", "sequence_number": number, "text": word, "id": identity,
                     "at": time.perf_counter_ns()}  # fmt: skip
            chunk(writer, b"data: " + json.dumps(piece).encode() + b"\n\n")
            await writer.drain()
        chunk(writer, b"data: [DONE]\n\n")
        chunk(writer, b"")
        await writer.drain()
        return None

    def _stored(self, method: str, path: str, writer: asyncio.StreamWriter) -> None:
        name = path.split("/")[-1]
        if name not in self.responses and path != "/":
            return send(writer, 404, {"error": {"message": "no such thing", "code": "not_found"}})
        if method == "DELETE":
            del self.responses[name]
        return send(writer, 200, {"id": name})

    def _adapter(self, path: str, asked: Any, writer: asyncio.StreamWriter) -> None:
        name = asked["lora_name"]
        loads = path.endswith("/load_lora_adapter")
        if (name in self.adapters) == loads or (loads and self.stopping):
            return send(writer, 400, {"error": {"message": f"{name}: no", "code": None}})
        (self.adapters.append if loads else self.adapters.remove)(name)
        return send(writer, 200, {"lora_name": name})

    def _metrics(self, writer: asyncio.StreamWriter) -> None:
        lines = ["# HELP http_requests_in_flight Requests."]
        lines += ["# TYPE http_requests_in_flight gauge"]
        lines += [f"http_requests_in_flight {self.running}"]
        for name, value in (("queries", self.cache.queries), ("hits", self.cache.hits)):
            full = f"tramontane_prefix_cache_{name}_total"
            lines += [f"# HELP {full} Tokens.", f"# TYPE {full} counter"]
            lines += [f'{full}{{model_name="default"}} {float(value)}']
        data = ("\n".join(lines) + "\n").encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(data)}"
        writer.write(head.encode() + b"\r\n\r\n" + data)


def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def send(writer: asyncio.StreamWriter, status: int, found: Any) -> None:
    data = json.dumps(found).encode()
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-request-id: replica\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first", type=float, default=0.0)
    parser.add_argument("--between", type=float, default=0.0)
    options = parser.parse_args()
    replica = StandIn(first=options.first, between=options.between)
    port = await replica.start(options.port)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(port, flush=True)
    await stop.wait()
    await replica.drain()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))
