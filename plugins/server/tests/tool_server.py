"""An HTTP server for tools, in a thread; how it behaves is in the path that is asked."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Asked:
    """What has been asked. asked: (headers, body) of each. most: how many at once."""

    url: str
    asked: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    most: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the test is: nobody has to be slow any longer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        yield
        with self._lock:
            self._running -= 1


@contextlib.contextmanager
def tool_server(pem: Path | None = None) -> Iterator[Asked]:
    """At a free port of 127.0.0.1. pem: certificate and key, for https."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.asked.append((dict(self.headers), body))
            with contextlib.suppress(OSError):  # who asked may be gone
                self._answer(body)

        def _answer(self, body: Any) -> None:
            match self.path:
                case "/content":
                    words = ", ".join(f"{k}={v}" for k, v in body["arguments"].items())
                    self._say(json.dumps({"content": f"{body['name']} of {words}"}))
                case "/object":
                    self._say('{"degrees": 21}')
                case "/text":
                    self._say("it rains, ça va\x00", kind="text/plain")
                case "/string":
                    self._say('"it rains"')
                case "/bytes":
                    self._say(b"\xff\xfe rain")
                case "/empty":
                    self._say("")
                case "/500":
                    self._say("<h1>it is\n\nbroken</h1>" + "x" * 5000, status=500)
                case "/302":
                    self.send_response(302)
                    self.send_header("location", "/content")
                    self.end_headers()
                case "/long":
                    self._say("y" * 100_000)
                case "/huge":
                    self._say(b"z" * (64 << 20))
                case "/packed":
                    self._say(gzip.compress(b"z" * (64 << 20)), encoding="gzip")
                case "/slow":
                    found.over.wait(30)
                    self._say("late")
                case "/drip":
                    self.send_response(200)
                    self.end_headers()
                    while not found.over.wait(0.05):
                        self.wfile.write(b"x")
                case "/while":
                    with found.counted():
                        time.sleep(0.05)
                    self._say("ok")
                case "/nothing":
                    self.close_connection = True
                case "/nonsense":
                    self.wfile.write(b"this is no HTTP\r\n\r\n")

        def _say(
            self, body: str | bytes, status: int = 200, kind: str = "application/json",
            encoding: str = "",
        ) -> None:  # fmt: skip
            data = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            self.send_header("content-type", kind)
            if encoding:
                self.send_header("content-encoding", encoding)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if pem is None else "https"
    found = Asked(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
