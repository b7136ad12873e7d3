"""The backend's threads: they wait a little while awake, then asleep, for the next step.

One pool for the process. The thread that asks for a step works too, and no thread holds Python's
lock meanwhile. Waking a thread costs about as much as a small model's layer, so one that has just
worked keeps looking for half a millisecond.
"""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
import weakref
from typing import Any

import numpy as np

from . import interpreter
from .memory import integers

AWAKE = 20_000
"""Looks for work before sleeping: about half a millisecond."""


class Pool:
    """`threads` threads, the caller's included."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._control, self._words = integers(len(interpreter.CONTROL))
        self._words[interpreter.CONTROL.index("threads")] = threads
        self._words[interpreter.CONTROL.index("give_way")] = _give_way()
        self._address = self._control.ctypes.data
        self._generation = 0
        self._one = threading.Lock()
        self._asleep = [False] * threads
        self._gates: list[queue.SimpleQueue[None]] = [queue.SimpleQueue() for _ in range(threads)]
        for number in range(1, threads):
            arguments = (self._control, self._asleep, self._gates[number], number)
            name = f"tramontane-cpu-{number}"
            threading.Thread(target=_serve, args=arguments, name=name, daemon=True).start()
        self._end = weakref.finalize(self, _stop, self._control, self._gates)

    def step(self, phases: Any, operations: Any, counts: Any) -> interpreter.Step:
        """What `run` takes. All are int64 arrays: see `interpreter.py`."""
        return interpreter.Step(phases, operations, counts, self.threads)

    def run(self, step: interpreter.Step) -> None:
        """Run a step; one at a time."""
        with self._one:
            self._words[1:6] = step.told
            self._generation += 1
            # told first, looked at afterwards; `_serve` says that it sleeps first, and looks
            # for work afterwards: whoever comes second sees what the other has done
            interpreter.tell.brief(self._address, self._generation)
            for number, asleep in enumerate(self._asleep):
                if asleep:
                    self._gates[number].put(None)
            interpreter.run_phases.ctypes(self._address, 0)

    def run_jobs(self, work: list[tuple[int, Any, int]]) -> None:
        """Run kernels that do not depend on each other: address, arguments, number of jobs."""
        phases = np.array([(interpreter.JOBS, 0, len(work), 0)], np.int64)
        operations = np.array([(k, a.ctypes.data, -1, jobs) for k, a, jobs in work], np.int64)
        self.run(self.step(phases, operations, np.zeros(8, np.int64)))

    def busy(self) -> bool:
        """Whether a step is on its way."""
        return self._one.locked()

    def close(self) -> None:
        """End the threads."""
        self._end()


def _serve(control: Any, asleep: list[bool], gate: queue.SimpleQueue[None], number: int) -> None:
    address, seen = control.ctypes.data, 0
    while True:
        seen = interpreter.serve.ctypes(address, number, seen, AWAKE)
        if seen < 0:
            return
        asleep[number] = True
        if int(control[0]) == seen:
            gate.get()
        asleep[number] = False


def _stop(control: Any, gates: list[queue.SimpleQueue[None]]) -> None:
    control[0] = -1
    for gate in gates:
        gate.put(None)


def _give_way() -> int:
    """Address of the system's call that lets other programs run."""
    try:
        windows = sys.platform == "win32"
        library = ctypes.CDLL("kernel32" if windows else None)
        function = library.SwitchToThread if windows else library.sched_yield
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    except (OSError, AttributeError):
        return 0


_pools: dict[int, Pool] = {}
_making = threading.Lock()


def shared_pool(threads: int) -> Pool:
    """The process's pool of so many threads: models take turns on it."""
    with _making:
        if threads not in _pools:
            _pools[threads] = Pool(threads)
        return _pools[threads]
