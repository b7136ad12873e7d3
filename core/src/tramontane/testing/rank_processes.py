"""Processes for tests of interconnects: each does what it is told, and may be stopped or killed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

PATIENCE = 60.0
"""Seconds that a test waits for an answer, whatever time limits it is about."""


@dataclass(frozen=True)
class Answer:
    """What came of a piece of Python. error: the class of what it raised, and its message."""

    result: Any = None
    error: str = ""
    seconds: float = 0.0


class RankProcess:
    """A process that runs pieces of Python one after the other, each with the names that those
    before it have set. What a piece calls `result` is its answer."""

    def __init__(self, *before: str) -> None:
        """before: the beginning of the command, such as `ip netns exec NAME`."""
        command = [*before, sys.executable, "-m", "tramontane.testing.rank_processes"]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._child.pid

    def begin(self, code: str, **names: Any) -> None:
        """Run a piece; `end` waits for its answer. names: set before it."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"code": code, "names": names}).encode() + b"\n")
        self._child.stdin.flush()

    def end(self) -> Answer:
        """Raises AssertionError where there is no answer in a minute."""
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], PATIENCE)
        assert ready, f"process {self.pid} has not answered within {PATIENCE:g} s"
        line = self._child.stdout.readline()
        assert line, f"process {self.pid} has ended: {self._child.wait()}"
        return Answer(**json.loads(line))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()


def together(processes: list[RankProcess], code: str, **names: Any) -> list[Answer]:
    """The answers of all, which run a piece at the same time and know their `rank` and `size`."""
    for rank, process in enumerate(processes):
        process.begin(code, rank=rank, size=len(processes), **names)
    return [process.end() for process in processes]


def main() -> None:
    """Answer on what was standard output; other output goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    space: dict[str, Any] = {}
    for line in sys.stdin:
        told = json.loads(line)
        space.update(told["names"], result=None)
        started = time.monotonic()
        answer: dict[str, Any] = {}
        try:
            exec(told["code"], space)
            answer["result"] = space["result"]
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            answer["error"] = f"{type(error).__name__}: {error}"
        answer["seconds"] = time.monotonic() - started
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
