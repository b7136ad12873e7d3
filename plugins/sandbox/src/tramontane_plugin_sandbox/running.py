"""A program that runs in a sandbox, as its host sees it."""

from __future__ import annotations

import contextlib
import marshal
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import NoSandbox
from .inside.policy import Policy

PATIENCE = 2.0
"""Seconds for a sandbox to end once it is stopped."""


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    how: exit, signal, memory, processes or disk (a limit that is held by watching), time, output,
    stopped, or failed, where the command cannot be run. status: of exit the program's, of signal
    its number. why: in words.
    """

    how: str
    status: int = 0
    why: str = ""


class Running:
    """stdin, stdout, stderr, report and reply: descriptors that do not block; reply is -1 where
    the program has no pipe for replies."""

    def __init__(
        self,
        policy: Policy,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        replies: bool,
    ) -> None:
        """command: what begins the sandbox, without the descriptors. Raises OSError."""
        opened: list[int] = []
        self._stopped = False
        self._lock = threading.Lock()
        try:
            life, self._life = _pipe(opened)
            self.report, report = _pipe(opened)
            self.reply, reply = _pipe(opened) if replies else (-1, -1)
            passed = [each for each in (life, report, reply) if each >= 0]
            self._process = subprocess.Popen(
                [*command, str(life), str(report), str(reply)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                pass_fds=passed,
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            for place in opened:
                os.close(place)
            raise
        for place in passed:
            os.close(place)
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self.stdin, self.stdout, self.stderr = (stream.fileno() for stream in streams if stream)
        text = marshal.dumps(dict[str, Any](policy))
        with contextlib.suppress(BrokenPipeError):
            # by marshal, as only an interpreter like this one reads it, before anything else runs
            os.write(self._life, b"%8d" % len(text) + text)
        for place in (self.stdin, self.stdout, self.stderr, self.report, self.reply):
            if place >= 0:
                os.set_blocking(place, False)

    def close_input(self) -> None:
        """The program's standard input ends here."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def interrupt(self) -> None:
        """As Ctrl-C would."""
        with self._lock, contextlib.suppress(OSError):
            if not self._stopped:
                os.write(self._life, b"i")

    def stop(self) -> None:
        """Kill all of its processes, if any is left."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                os.close(self._life)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ended(self, errors: str = "") -> Ended:
        """How it ended; stops it if it has not. errors: what it wrote to standard error. Raises
        NoSandbox where the sandbox itself could not be had."""
        asked = self._stopped
        if not asked:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        self.stop()
        said = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.report, 1 << 16):
                said += part
        if said:
            how, status, why = said.decode("utf-8", "replace").splitlines()[0].split("\t", 2)
            if how == "refused":
                raise NoSandbox(f"the sandbox cannot be begun: {why}")
            return Ended(how, int(status), why)
        if asked:
            return Ended("stopped")
        if self._process.returncode > 0:
            raise NoSandbox(f"the sandbox cannot be begun: {errors.strip() or 'it says nothing'}")
        return Ended("signal", 9, "killed from outside")

    def close(self) -> None:
        """Stop it, and give every descriptor back. It cannot be used after that."""
        self.stop()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        for place in (self.report, self.reply):
            if place >= 0:
                os.close(place)
        self.report = self.reply = -1


class Stop:
    """Ends a program from another thread than the one that waits for it, begun or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._running: Running | None = None

    def of(self, running: Running) -> None:
        """This is the program; it ends now where that was asked already."""
        with self._lock:
            self._running = running
            asked = self._asked
        if asked:
            running.stop()

    def now(self) -> None:
        """End it."""
        with self._lock:
            self._asked = True
            running = self._running
        if running is not None:
            running.stop()


def _pipe(opened: list[int]) -> tuple[int, int]:
    both = os.pipe()
    opened += both
    return both
