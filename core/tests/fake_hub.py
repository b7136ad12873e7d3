"""A hub on this machine, speaking as much of the protocol as downloading a model takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class FakeHub:
    """repos: content by repository and file name. The rest says how it behaves."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    private: dict[str, str] = field(default_factory=dict)
    """Repository to the token that may read it."""
    cut: dict[str, int] = field(default_factory=dict)
    """File to the bytes after which the connection ends, and the hub is out of order."""
    sizes: dict[str, int] = field(default_factory=dict)
    """File to a size that is told of it, whatever it has."""
    status: int = 0
    """Answer everything so."""
    page: bytes = b""
    """Answer every question about a repository with this."""
    bad_tokens: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """(method, path, headers) of all that was asked."""
    url: str = ""

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, in order."""
        return [path.split("/", 5)[5] for method, path, _ in self.requests
                if method == "GET" and "/resolve/" in path]  # fmt: skip

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        if self.status:
            return self.status, {}, b""
        parts = path.strip("/").split("/")
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.bad_tokens:
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b""
        if parts[:2] == ["api", "models"]:
            repo, revision = "/".join(parts[2:4]), unquote("/".join(parts[5:]))
        elif parts[2:3] == ["resolve"]:
            repo, revision = "/".join(parts[:2]), unquote(parts[3])
        else:  # what clients ask for beside models
            return 404, {}, b""
        if repo not in self.repos or self.private.get(repo, token) != token:
            return (404 if token else 401), {"X-Error-Code": "RepoNotFound"}, b""
        if revision not in ("", "main", "v1", self.commit(repo)):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if parts[0] == "api":
            return 200, {"Content-Type": "application/json"}, self.page or self.info(repo)
        if repo in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        return self.content(repo, "/".join(parts[4:]), headers.get("range", ""))

    def commit(self, repo: str) -> str:
        return hashlib.sha1(b"".join(sorted(self.repos[repo].values()))).hexdigest()

    def info(self, repo: str) -> bytes:
        files = [
            {
                "rfilename": name,
                "size": (size := self.sizes.get(name, len(data))),
                "blobId": "0" * 40,
                "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": size,
                        "pointerSize": 134},
            }
            for name, data in self.repos[repo].items()
        ]  # fmt: skip
        return json.dumps({"id": repo, "sha": self.commit(repo), "siblings": files}).encode()

    def content(self, repo: str, name: str, asked: str) -> Answer:
        data = self.repos[repo].get(name)
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Repo-Commit": self.commit(repo),
            "Accept-Ranges": "bytes",
        }
        if not asked:
            return 200, headers, data
        start = int(asked.removeprefix("bytes=").split("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206, headers, data[start:]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Answer on a port of 127.0.0.1 for as long as the block runs; its address is `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_HEAD(self) -> None:
            self._answer("HEAD")

        def _answer(self, method: str) -> None:
            path = unquote(urlsplit(self.path).path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            hub.requests.append((method, path, headers))
            status, out, body = hub.answer(method, urlsplit(self.path).path, headers)
            self.send_response(status)
            for name, value in out.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if method == "HEAD":
                return
            most = hub.cut.get(path.rpartition("/")[2])
            if most is not None:  # before the client can know, and a test can change it back
                hub.status = 503
                self.close_connection = True
            self.wfile.write(body[:most])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
