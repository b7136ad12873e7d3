"""The backend's thread pool: idle threads spin briefly, then sleep, until the next step.

One pool per process. The thread that runs a step works too, and no thread holds the GIL during it.
Waking a thread costs about as much as a small model's layer, so a thread spins for half a
millisecond after its work.
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
"""Spin iterations before sleeping: about half a millisecond."""


class Pool:
    """A pool of `threads` threads, including the caller's."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._control, self._words = integers(len(interpreter.CONTROL))
        self._words[interpreter.CONTROL.index("threads")] = threads
        self._words[interpreter.CONTROL.index("give_way")] = give_way()
        self._address = self._control.ctypes.data
        self._generation = 0
        self._run_lock = threading.Lock()
        self._asleep = [False] * threads
        self._gates: list[queue.SimpleQueue[None]] = [queue.SimpleQueue() for _ in range(threads)]
        for number in range(1, threads):
            arguments = (self._control, self._asleep, self._gates[number], number)
            name = f"tramontane-cpu-{number}"
            threading.Thread(target=_serve, args=arguments, name=name, daemon=True).start()
        self._end = weakref.finalize(self, _stop, self._control, self._gates)

    def step(self, phases: Any, operations: Any, counts: Any) -> interpreter.Step:
        """A step for `run`. All arguments are int64 arrays: see `interpreter.py`."""
        return interpreter.Step(phases, operations, counts, self.threads)

    def run(self, step: interpreter.Step) -> None:
        """Run a step; one at a time."""
        with self._run_lock:
            self._words[1:6] = step.told
            self._generation += 1
            # publish the step first, then check for sleeping threads; `_serve` sets `asleep`
            # first, then checks for a step: so at least one of the two sees the other's write
            interpreter.tell.brief(self._address, self._generation)
            for number, asleep in enumerate(self._asleep):
                if asleep:
                    self._gates[number].put(None)
            interpreter.run_phases.ctypes(self._address, 0)

    def run_jobs(self, work: list[tuple[int, Any, int]]) -> None:
        """Run independent kernels in parallel: (address, arguments, number of jobs) of each."""
        phases = np.array([(interpreter.JOBS, 0, len(work), 0)], np.int64)
        operations = np.array([(k, a.ctypes.data, -1, jobs) for k, a, jobs in work], np.int64)
        self.run(self.step(phases, operations, np.zeros(8, np.int64)))

    def busy(self) -> bool:
        """Whether a step is running."""
        return self._run_lock.locked()

    def close(self) -> None:
        """Stop the threads."""
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


def give_way() -> int:
    """The address of the C library's `sched_yield`; 0 if there is none."""
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
    """The process's pool of this many threads, which models share."""
    with _making:
        if threads not in _pools:
            _pools[threads] = Pool(threads)
        return _pools[threads]
