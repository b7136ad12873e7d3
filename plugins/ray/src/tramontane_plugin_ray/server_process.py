"""A server of ours as a child process, that ends with its parent."""

from __future__ import annotations

import collections
import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import IO

from tramontane_plugin_server.settings import Settings

HEALTH = 5.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy of the environment's is shown the key."""


class ServerProcess:
    """Starts it and waits until its models are loaded. Raises RuntimeError with what it said.

    url: where it listens. key: an admin key that nobody else knows.
    """

    def __init__(self, settings: Settings, host: str, folder: str) -> None:
        self.key = secrets.token_urlsafe(32)
        self._lines: collections.deque[str] = collections.deque(maxlen=20)
        self._grace = settings.shutdown_timeout + 5
        self._folder = tempfile.TemporaryDirectory(prefix="tramontane-")
        written = Path(self._folder.name) / "address"
        settings = settings.model_copy(
            update={"host": host, "address_file": written, "admin_key": (self.key,)}
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tramontane_plugin_ray.child"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        threading.Thread(target=self._follow, args=(self._process.stderr,), daemon=True).start()
        told = {"settings": settings.model_dump_json(), "folder": folder}
        try:
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
            self.url = self._wait(written)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises RuntimeError where it is gone or does not answer."""
        if (status := self._process.poll()) is not None:
            raise RuntimeError(f"the server has ended with {status}: {self._said()}")
        self._get("/health")

    def stop(self) -> None:
        """Let answers end, for as long as its settings say."""
        self._process.terminate()
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()
        self._folder.cleanup()

    def _wait(self, written: Path) -> str:
        while True:
            if self._process.poll() is not None:
                time.sleep(0.2)  # its last words
                raise RuntimeError(f"the server does not start: {self._said()}")
            with contextlib.suppress(FileNotFoundError, RuntimeError):
                self.url = written.read_text("utf-8").strip()
                self._get("/ready")
                return self.url
            time.sleep(0.1)

    def _get(self, path: str) -> None:
        request = urllib.request.Request(
            self.url + path, headers={"authorization": f"Bearer {self.key}"}
        )
        try:
            DIRECT.open(request, timeout=HEALTH).close()
        except OSError as error:
            raise RuntimeError(f"the server does not answer {path}: {error}") from error

    def _follow(self, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError):
            for line in stream:
                self._lines.append(line.rstrip())
                sys.stderr.write(line)

    def _said(self) -> str:
        errors = [line for line in self._lines if line.startswith("error: ")]
        return (errors or list(self._lines) or ["it said nothing"])[-1].removeprefix("error: ")
