"""Processes for tests of interconnects: each does what it is told, and may be stopped or killed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds that a test waits for an answer, whatever time limits it is about."""
NETWORK = 0x40000000
"""CLONE_NEWNET of Linux."""


@dataclass(frozen=True)
class Answer:
    """What came of a piece of Python. error: the class of what it raised, and its message."""

    result: Any = None
    error: str = ""


class RankProcess:
    """A process that runs pieces of Python one after the other, each with the names that those
    before it have set. What a piece calls `result` is its answer."""

    def __init__(self, network: Path | None = None) -> None:
        """network: the file of a network namespace, in which it then is."""
        self._told, theirs = _context().Pipe()
        self._process = _context().Process(target=_serve, args=(theirs, network), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def begin(self, code: str, **names: Any) -> None:
        """Run a piece; `end` waits for its answer. names: set before it."""
        self._told.send((code, names))

    def end(self) -> Answer:
        """Raises AssertionError where there is no answer in a minute, EOFError where the process
        has ended."""
        assert self._told.poll(PATIENCE), f"process {self.pid} has not answered in {PATIENCE:g} s"
        answer: Answer = self._told.recv()
        return answer

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._told.close()


def together(processes: list[RankProcess], code: str, **names: Any) -> list[Answer]:
    """The answers of all, which run a piece at the same time and know their `rank` and `size`."""
    for rank, process in enumerate(processes):
        process.begin(code, rank=rank, size=len(processes), **names)
    return [process.end() for process in processes]


@cache
def _context() -> ForkServerContext:
    """Processes come from one that has imported torch, which takes seconds, once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "tramontane.registry", "tramontane.parallel.combine"])
    return context


def _serve(told: Connection, network: Path | None) -> None:
    if network is not None:
        _enter(network)
    space: dict[str, Any] = {}
    while True:
        try:
            code, names = told.recv()
        except EOFError:
            return
        space.update(names, result=None)
        try:
            exec(code, space)
            answer = Answer(space["result"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            answer = Answer(error=f"{type(error).__name__}: {error}")
        told.send(answer)


def _enter(network: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    file = os.open(network, os.O_RDONLY)
    try:
        if library.setns(file, NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(network))
    finally:
        os.close(file)
