"""Feeds a running program and gathers what it writes, within bounds of time and of size."""

from __future__ import annotations

import contextlib
import os
import selectors
import time

from .kept import Kept
from .running import Running

AFTER = 0.5
"""Seconds in which output is still read once a program has ended."""
MOST = 1 << 16


class Gathering:
    """One command, or one call of a session. out, err: what was written. reply: a line that the
    program sent, without its end."""

    def __init__(self, running: Running, *, kept: int, flood: int, longest_reply: int = 0) -> None:
        """kept: bytes of each output that are kept. flood: bytes that are too many."""
        self.out, self.err = Kept(kept), Kept(kept)
        self.reply = bytearray()
        self._running = running
        self._flood = flood
        self._longest_reply = longest_reply

    def gather(self, seconds: float, data: bytes = b"", *, close_input: bool = False) -> str:
        """Send `data`, and read until something has happened, which is said: ended, time (these
        seconds are over), output (too much of it) or reply (a line came)."""
        deadline = time.monotonic() + seconds
        waiting = memoryview(data)
        running = self._running
        with selectors.DefaultSelector() as selector:
            for place in (running.stdout, running.stderr, running.report, running.reply):
                if place >= 0:
                    selector.register(place, selectors.EVENT_READ)
            if waiting:
                selector.register(running.stdin, selectors.EVENT_WRITE)
            elif close_input:
                running.close_input()
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    place = key.fd
                    if place == running.stdin:
                        waiting = self._send(waiting)
                        if not waiting:
                            selector.unregister(place)
                            if close_input:
                                running.close_input()
                    elif place == running.report:
                        self.drain(AFTER)
                        return "ended"
                    elif not self._read(place):
                        selector.unregister(place)
                if b"\n" in self.reply:
                    self.drain(0)
                    return "reply"
                if self.out.size + self.err.size > self._flood:
                    return "output"
                if self._longest_reply and len(self.reply) > self._longest_reply:
                    return "output"
        return "time"

    def drain(self, seconds: float) -> None:
        """Read what output there is already, and until its end for at most these seconds."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for place in (self._running.stdout, self._running.stderr):
                selector.register(place, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                for key, _ in ready:
                    if not self._read(key.fd):
                        selector.unregister(key.fd)
                if not ready or self.out.size + self.err.size > self._flood:
                    return

    def _send(self, waiting: memoryview) -> memoryview:
        try:
            return waiting[os.write(self._running.stdin, waiting[:MOST]) :]
        except BrokenPipeError:
            return waiting[:0]

    def _read(self, place: int) -> bool:
        """Whether there may be more."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(place, MOST)
            if not data:
                return False
        if place == self._running.reply:
            self.reply += data
        else:
            (self.out if place == self._running.stdout else self.err).add(data)
        return True
