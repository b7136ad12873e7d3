"""A server that does what a test says: answers come piece by piece, when the test hands them in."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tramontane.pages import read_files
from tramontane_plugin_server.plugin_pages import HEADERS, TYPES
from tramontane_plugin_web.plugin import pages

from .scripted import HEAD

END, BREAK = "end", "break"
"""Of an answer: its end, or a connection that is cut."""


class Stub:
    """models: what /v1/models lists. pieces: deltas of the answer that is asked for, then END.
    asked: path and body of every POST."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = [model("stub")]
        self.tools: list[dict[str, Any]] = []
        self.pieces: queue.Queue[Any] = queue.Queue()
        self.asked: list[tuple[str, Any]] = []
        self.url = ""

    def say(self, *deltas: Any) -> None:
        for delta in deltas:
            self.pieces.put({"content": delta} if isinstance(delta, str) else delta)

    def end(self) -> None:
        self.pieces.put(END)

    def bodies(self, path: str) -> list[Any]:
        return [body for where, body in self.asked if where == path]


def model(name: str, task: str = "text", *inputs: str) -> dict[str, Any]:
    """As /v1/models lists it. inputs: kinds of media beside text."""
    return {"id": name, "parent": None, "status": "loaded", "max_model_len": 4096,
            "tasks": [task], "input_modalities": ["text", *inputs]}  # fmt: skip


@contextlib.contextmanager
def stub(port: int = 0) -> Iterator[Stub]:
    """It, at a port of this machine."""
    told = Stub()
    (page,) = pages()
    files = read_files(page)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # no connection outlives the server

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].lstrip("/") or "index.html"
            if name in files:
                return self.answer(files[name], TYPES[name.rpartition(".")[2]], HEADERS)
            found = {"v1/models": {"data": told.models}, "v1/agent/tools": {"tools": told.tools},
                     "health": {"status": "ok"}}  # fmt: skip
            return self.answer(json.dumps(found[name]).encode(), "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kind = self.headers["content-type"]
            told.asked.append((self.path, json.loads(body) if kind == "application/json" else body))
            if self.path == "/v1/chat/completions":
                return self.stream()
            if self.path == "/v1/images/generations":
                data = {"data": [{"b64_json": base64.b64encode(png()).decode()}]}
                return self.answer(json.dumps(data).encode(), "application/json")
            if self.path == "/v1/audio/speech":
                return self.answer(wav(), "audio/wav")
            found = {"text": "what was said"} if "transcriptions" in self.path else {}
            return self.answer(json.dumps(found).encode(), "application/json")

        def answer(self, data: bytes, kind: str, headers: Any = ()) -> None:
            self.send_response(200)
            for name, value in {**dict(headers), "content-type": kind}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            count = 0
            with contextlib.suppress(OSError):
                while (piece := told.pieces.get()) != END:
                    if piece == BREAK:
                        self.close_connection = True
                        return
                    choice = {"index": 0, "delta": piece, "finish_reason": None}
                    self.event({**HEAD, "choices": [choice]})
                    count += 1
                last = {"index": 0, "delta": {}, "finish_reason": "stop"}
                self.event({**HEAD, "choices": [last]})
                used = {"prompt_tokens": 9, "completion_tokens": count}
                self.event({**HEAD, "choices": [], "usage": used})
                self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def event(self, data: Any) -> None:
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        told.end()
        server.shutdown()
        thread.join()
        server.server_close()


def png() -> bytes:
    from PIL import Image

    found = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(found, "PNG")
    return found.getvalue()


def wav(seconds: float = 0.5) -> bytes:
    import numpy as np
    import soundfile

    found = io.BytesIO()
    tone = np.sin(np.arange(int(24_000 * seconds)) * 2 * np.pi * 440 / 24_000) * 0.5
    soundfile.write(found, tone, 24_000, format="WAV")
    return found.getvalue()
