"""A Python process in a sandbox that keeps its variables between pieces of code."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from tramontane.errors import UsageError

from .gathering import Gathering
from .running import Ended, Running, Stop
from .sandbox import Sandbox

WORKER = (
    "import sys; sys.path.append(sys.argv[1]); from tramontane_plugin_sandbox.worker import main; "
    "sys.path.pop(); main()"
)
GRACE = 1.0
"""Seconds for code that is interrupted to come to its end."""
LONGEST_CODE = 1 << 20
"""Characters of one piece of code."""


@dataclass(frozen=True)
class Outcome:
    """What a piece of code did. Texts are the program's own words.

    value: of the last expression, as `repr` writes it; None where there is none. error: the
    traceback of what was raised. note: what happened to the session, if something did. lost:
    whether its variables are lost, and the next code begins with none.
    """

    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    error: str | None = None
    note: str = ""
    lost: bool = False


class PythonSession:
    """A context manager. The process is begun by the first code; one piece runs at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._running: Running | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> PythonSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; its variables are lost. Waits for code that runs."""
        with self._lock:
            self._forget()

    def run(self, code: str, *, seconds: float | None = None, stop: Stop | None = None) -> Outcome:
        """Run code in the session. seconds: instead of the limit's. stop: ends it, and the
        process, from another thread.

        Code that is late is interrupted, and killed if that does not end it. Raises NoSandbox, and
        UsageError for code that is too long.
        """
        if len(code) > LONGEST_CODE:
            raise UsageError(f"{len(code)} characters of code: at most {LONGEST_CODE}")
        with self._lock:
            if stop is not None:
                stop.of(self._begun())
            return self._run(code, self._sandbox.limits.seconds if seconds is None else seconds)

    def _run(self, code: str, seconds: float) -> Outcome:
        limits = self._sandbox.limits
        running = self._begun()
        gathering = Gathering(
            running, kept=limits.output, flood=limits.flood, longest_reply=16 * limits.output
        )
        # surrogates, which UTF-8 has not, are escaped by JSON
        request = json.dumps({"code": code, "value": limits.output}).encode() + b"\n"
        what, note = gathering.gather(seconds, request), ""
        if what == "time":
            running.interrupt()
            what = gathering.gather(GRACE)
            note = f"stopped after {seconds:g} seconds; variables are kept"
        if what == "reply" and (answer := _answer(bytes(gathering.reply))) is not None:
            value, error = answer
            return Outcome(gathering.out.text(), gathering.err.text(), value, error, note)
        if what != "ended":
            running.stop()
            gathering.drain(0)
        try:
            ended = running.ended(gathering.err.text())
        finally:
            self._forget()
        note = (
            f"{_reason(what, ended, seconds)}; variables are lost, the next code begins with none"
        )
        return Outcome(gathering.out.text(), gathering.err.text(), note=note, lost=True)

    def _begun(self) -> Running:
        if self._running is None:
            command = self._sandbox.python(WORKER)
            self._running = self._sandbox.start(command, replies=True)
        return self._running

    def _forget(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None


def _answer(line: bytes) -> tuple[str | None, str | None] | None:
    """(value, error), or None for what is not a worker's answer."""
    try:
        found = json.loads(line)
        value, error = found["value"], found["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(each, (str, type(None))) for each in (value, error)):
        return None
    return value, error


def _reason(what: str, ended: Ended, seconds: float) -> str:
    if what == "time":
        return f"killed after {seconds:g} seconds"
    if what == "output":
        return "killed: too much output"
    if what == "reply":
        return "killed: what it answered is no answer"
    if ended.how == "exit":
        return f"the process ended with status {ended.status}"
    if ended.how == "signal":
        return f"the process was killed by signal {ended.status}"
    return f"killed: {ended.why or ended.how}"
