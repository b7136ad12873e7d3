"""Runs a list of phases on several threads at once: compiled, called once per step and thread.

A phase is a set of independent jobs that are distributed to the threads, with a barrier at its end.
Memory layout, in 64-bit integers:

    phase      mode, first operation, operations, which of the step's counts its rows are
    operation  kernel, arguments, which of the step's counts its jobs are (-1: none), jobs for each

Each thread has a share of a phase's jobs, contiguous in memory, and then helps the others (work
stealing). In ROWS, a job is a few vectors, and runs all the phase's operations on them. In JOBS,
the jobs are those of all operations.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.memory import put_word, word
from tramontane_backend_cpu.vector.parallel import (
    announce,
    call_kernel,
    call_plain,
    fetch_add,
    pause,
    watch,
)

ROWS, JOBS = 0, 1
LINE = 64
"""Bytes between counters that several threads write, to avoid false sharing."""
AT_A_TIME = 7
"""Index of the step's count with the number of rows per job."""
CONTROL = ("generation", "phases", "count", "operations", "counts", "taken", "threads", "give_way")
"""What is said to the threads before a step. generation -1: end. taken: a line for the barrier, one
for those that are done, and one for each share of a phase. give_way: address of sched_yield, or
0."""
PATIENCE = 2000
"""Spin iterations at the barrier before yielding to other programs."""


class Step:
    """What the threads are told to do, for `threads` of them. All are int64 arrays."""

    def __init__(self, phases: Any, operations: Any, counts: Any, threads: int) -> None:
        taken = np.zeros((2 + len(phases) * threads) * LINE // 8, np.int64)
        self.kept = phases, operations, counts, taken
        at, listed, counted, lines = (int(each.ctypes.data) for each in self.kept)
        self.told = array("q", (at, len(phases), listed, counted, lines))
        """Of CONTROL, phases to taken."""


@njit
def share(control, thread):  # type: ignore[no-untyped-def]
    """Do a thread's share of a step."""
    phases, count, operations = word(control + 8), word(control + 16), word(control + 24)
    counts, taken, threads = word(control + 32), word(control + 40), word(control + 48)
    give_way = word(control + 56)
    passed = 0
    for phase in range(count):
        at = phases + 32 * phase
        mode, many, domain = word(at), word(at + 16), word(at + 24)
        first = operations + 32 * word(at + 8)
        if mode == ROWS:
            rows, at_a_time = word(counts + 8 * domain), word(counts + 8 * AT_A_TIME)
            jobs = (rows + at_a_time - 1) // at_a_time
        else:
            rows, at_a_time, jobs = 0, 0, 0
            for i in range(many):
                jobs += jobs_of(first + 32 * i, counts)
        if jobs == 0:
            continue
        for turn in range(threads):
            owner = (thread + turn) % threads
            start, stop = jobs * owner // threads, jobs * (owner + 1) // threads
            counter = taken + LINE * (2 + phase * threads + owner)
            while start + watch(counter) < stop:
                job = start + fetch_add(counter, 1)
                if job >= stop:
                    break
                if mode == ROWS:
                    for row in range(job * at_a_time, min(rows, (job + 1) * at_a_time)):
                        for i in range(many):
                            operation = first + 32 * i
                            call_kernel(word(operation), word(operation + 8), row, row + 1)
                else:
                    operation, left = first, job
                    while left >= jobs_of(operation, counts):
                        left -= jobs_of(operation, counts)
                        operation += 32
                    call_kernel(word(operation), word(operation + 8), left, thread)
        if threads > 1:
            passed += threads
            fetch_add(taken, 1)
            wait_for(taken, passed, give_way)
    if threads > 1:
        fetch_add(taken + LINE, 1)
        if thread == 0:
            wait_for(taken + LINE, threads, give_way)


@njit
def jobs_of(operation, counts):  # type: ignore[no-untyped-def]
    """How many jobs an operation has in this step."""
    which, each = word(operation + 16), word(operation + 24)
    return each if which < 0 else each * word(counts + 8 * which)


@njit
def wait_for(address, value, give_way):  # type: ignore[no-untyped-def]
    """Until a counter has come to a value."""
    looks = 0
    while watch(address) < value:
        pause()
        looks += 1
        if looks > PATIENCE:
            call_plain(give_way)


@native(2)
def tell(control, generation):  # type: ignore[no-untyped-def]
    """Nothing of a step is done; let the other threads see that it is there."""
    count, taken, threads = word(control + 16), word(control + 40), word(control + 48)
    for line in range(2 + count * threads):
        put_word(taken + LINE * line, 0)
    announce(control, generation)


@native(2)
def run_phases(control, thread):  # type: ignore[no-untyped-def]
    """Do a thread's share of the step that was told."""
    share(control, thread)


@native(4, result=True)
def serve(control, thread, seen, looks):  # type: ignore[no-untyped-def]
    """Do this thread's share of every step until none has come for so many looks, or the end has.
    Returns the last generation seen."""
    left = looks
    while left > 0:
        generation = watch(control)
        if generation == seen:
            pause()
            left -= 1
        elif generation < 0:
            return generation
        else:
            seen = generation
            share(control, thread)
            left = looks
    return seen


KERNELS = (run_phases, tell, serve)
"""Kernels that every model needs, before its weights are read."""
