"""The other ranks of this machine, as processes that this one begins and ends."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from tramontane.errors import TramontaneError

from .group import PeerLost
from .spec import FAILED, LOADED, MEET, Spec

LOADING = 3600.0
"""Seconds that a rank may take to load its share."""
PATIENCE = 5.0
"""Seconds that one has to end by itself."""


class RankFailed(TramontaneError):
    """A rank that this process began could not load its share; the message has its own."""


class Children:
    """Begins a process for each spec, which loads at the same time as this one."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._listeners: list[threading.Thread] = []
        self._said: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        for spec in specs:
            child = subprocess.Popen(
                [sys.executable, "-m", "tramontane.parallel.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            self._running[spec.rank] = child
            assert child.stdin is not None
            spec.write(child.stdin)  # type: ignore[arg-type]
            listener = threading.Thread(target=self._listen, args=(spec.rank, child), daemon=True)
            listener.start()
            self._listeners.append(listener)

    def loaded(self) -> None:
        """Wait until all have loaded. Raises RankFailed, with what the one that could not says."""
        waiting, until = set(self._running), time.monotonic() + LOADING
        while waiting:
            try:
                rank, line = self._said.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise RankFailed(f"ranks {sorted(waiting)} did not load in {LOADING:g} s") from None
            word, _, rest = line.partition(" ")
            if word == LOADED:
                waiting.discard(rank)
            elif rank in waiting:
                why = rest if word == FAILED else self.ended() or "it ended without a word"
                raise RankFailed(f"rank {rank}: {why}")

    def meet(self) -> None:
        """Tell all to join the group."""
        for child in self._running.values():
            assert child.stdin is not None
            with contextlib.suppress(OSError):
                child.stdin.write(f"{MEET}\n".encode())
                child.stdin.flush()

    def ended(self) -> str:
        """Which of them have ended, and how, for people; empty: none."""
        found = []
        for rank, child in self._running.items():
            status = child.poll()
            if status is not None and status < 0:
                name = signal.Signals(-status).name
                found.append(f"rank {rank} (process {child.pid}) was ended by {name}")
            elif status is not None:
                found.append(f"rank {rank} (process {child.pid}) has ended with status {status}")
        return ", ".join(found)

    @property
    def pids(self) -> dict[int, int]:
        """Process numbers by rank."""
        return {rank: child.pid for rank, child in self._running.items()}

    def close(self, patience: float = PATIENCE) -> None:
        """End those that have not ended within `patience` seconds."""
        until = time.monotonic() + patience
        for child in self._running.values():
            assert child.stdin is not None
            with contextlib.suppress(OSError):
                child.stdin.close()  # which alone ends one that waits for it
        for child in self._running.values():
            try:
                child.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for each in self._listeners:
            each.join(PATIENCE)

    def _listen(self, rank: int, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                self._said.put((rank, line.decode("utf-8", "replace").strip()))
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
        self._said.put((rank, ""))


def explained(error: PeerLost, children: Children) -> str:
    """What is known of a rank that is lost."""
    # the system knows of a process's end a moment after its connections are closed
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        if said := children.ended():
            return f"{said}; the others cannot go on without it"
        time.sleep(0.02)
    return error.message
