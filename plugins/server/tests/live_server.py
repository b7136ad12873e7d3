"""`tramontane serve` in a process of its own, and what can be asked of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx


@dataclass
class Live:
    """A server process. url: without a path."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def figure(self, name: str) -> float:
        """A metric's value, summed over its labels."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{"))
        )

    def wait_for_line(self, text: str) -> None:
        """Wait until the log has it."""
        end = time.monotonic() + 60
        while text not in self.log.read_text():
            assert time.monotonic() < end, f"{text!r} never comes"
            time.sleep(0.01)

    def idle(self) -> None:
        """Wait until nobody is answered; a request that is never let go fails the test."""
        end = time.monotonic() + 60
        names = ("num_requests_running", "num_requests_waiting", "kv_cache_blocks_used")
        while any(self.figure(f"tramontane_{name}") for name in names):
            assert time.monotonic() < end, "requests or blocks are held for ever"
            time.sleep(0.02)


@contextlib.contextmanager
def serving(folder: Path, *options: str, ready: bool = True) -> Iterator[Live]:
    """`tramontane serve` on a free port, in a process of its own."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "tramontane", "serve", "--port", "0", *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        yield Live(process, _address(process, log, ready=ready), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _address(process: subprocess.Popen[bytes], log: Path, *, ready: bool) -> str:
    wanted = "ready at " if ready else "listening at "
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            if wanted in line:
                return line.partition(wanted)[2].split()[0].removesuffix("/v1")
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server does not start:\n{log.read_text()}")
