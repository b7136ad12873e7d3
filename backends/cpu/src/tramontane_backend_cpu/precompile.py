"""Compile kernels in worker processes, several at once, in the background.

Compiling is mostly numba's Python, which the GIL serializes within a process. So kernels that will
be needed are queued here, workers (`compile_worker.py`) return their object files, and a caller
that needs one waits for it. Workers are optional: what they do not return is compiled in this
process.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tramontane import memory

from .compile_client import OtherProcess
from .object_cache import keep

if TYPE_CHECKING:
    from .kernel_source import KernelSource

log = logging.getLogger(__name__)
progress = logging.getLogger("tramontane.progress")
LEAST = 3
"""Minimum number of kernels for starting workers: a start takes as long as compiling two."""
EACH = 2
"""Minimum number of kernels per worker."""
MOST = 8
"""Maximum number of workers."""
ROOM = 512 << 20
"""Free memory required per worker in bytes: it uses up to 210 MB, and weights are yet to load."""
PATIENCE = 60.0
"""Seconds without a result after which the workers are killed."""
IDLE = 10.0
"""Seconds without work after which a worker is ended; after `rest`, it is ended at once."""


class Compilers:
    """The queue of kernels to compile, and the workers. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[KernelSource, int] = {}
        """Queued kernels, with the number of the `wish` call: earlier ones are needed earlier."""
        self._begun: set[KernelSource] = set()
        self._done: dict[KernelSource, bytes | None] = {}
        self._threads: dict[threading.Thread, OtherProcess] = {}
        self._modules: dict[str, threading.Thread] = {}
        self._given_up = self._resting = self._ending = False
        self._wishes = self._number = self._total = 0

    def wish(self, kernels: Iterable[KernelSource], processes: int, *, more: bool = False) -> None:
        """Queue kernels that are not compiled yet, for at most `processes` workers, if that is
        worthwhile. more: further kernels will follow, so that more workers may start already."""
        new = [
            kernel
            for kernel in dict.fromkeys(kernels)
            if kernel.origin is not None and kernel.key is not None and not kernel.is_ready()
        ]
        if not new or processes < 2 or not OtherProcess.possible():
            return
        affordable = memory.free() // ROOM
        with self._changed:
            known = {*self._waiting, *self._begun, *self._done}
            new = [kernel for kernel in new if kernel not in known]
            if self._given_up or (not self._threads and len(new) < LEAST):
                return
            self._wishes += 1
            self._waiting |= dict.fromkeys(new, self._wishes)
            self._total += len(new)
            self._resting = False
            self._changed.notify_all()
            busy = processes if more else -(-len(self._waiting) // EACH)
            limit = min(processes, MOST, affordable, busy)
            for _ in range(len(self._threads), limit):
                process = OtherProcess()
                thread = threading.Thread(
                    target=self._use, args=(process,), name="tramontane-compile", daemon=True
                )
                self._threads[thread] = process
                thread.start()

    def result(self, kernel: KernelSource) -> bytes | None:
        """Wait for a kernel's object file; None: the caller has to compile it."""
        with self._changed:
            while self._threads and (kernel in self._waiting or kernel in self._begun):
                if not self._changed.wait(PATIENCE):
                    self._give_up(f"nothing came for {PATIENCE:g} s")
            while self._ending and threading.current_thread().daemon:
                self._changed.wait()  # compiling while the interpreter exits would crash it
            return self._done.get(kernel)

    def tell(self, kernel: KernelSource) -> None:
        """Note for the progress message that this process compiles a kernel itself, now."""
        with self._changed:
            if kernel in self._begun or kernel in self._done:
                return  # already reported when a worker started on it
            if self._waiting.pop(kernel, None) is None:
                self._total += 1
            self._report_next()

    def rest(self) -> None:
        """End idle workers: no more kernels will be queued soon."""
        with self._changed:
            self._resting = True
            self._changed.notify_all()

    def close(self, *, ending: bool = False) -> None:
        """End the workers. ending: this process is exiting too."""
        with self._changed:
            self._ending = ending
            threads = list(self._threads)
            self._give_up("this process ends")
        for thread in threads:
            thread.join(1)

    def _use(self, process: OtherProcess) -> None:
        """Thread function: exchange kernels and object files with one worker."""
        kernel, why = None, ""
        try:
            process.start()
            while (kernel := self._next()) is not None:
                code = process.compiled(kernel)
                if code is not None:
                    keep(kernel.key, code)
                self._finish(kernel, code)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers must not wait forever
            why = f"{type(error).__name__}: {error}"
        process.end()
        with self._changed:
            self._threads.pop(threading.current_thread(), None)
            if kernel is not None:
                self._finish(kernel, None)
            if why and not self._given_up:
                self._give_up(why)
            self._changed.notify_all()

    def _next(self) -> KernelSource | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._resting or self._given_up, IDLE)
            if not self._waiting or self._given_up:
                return None
            kernel = min(self._waiting, key=self._rank)
            del self._waiting[kernel]
            self._modules.setdefault(kernel.function.__module__, threading.current_thread())
            self._begun.add(kernel)
            self._report_next()
            return kernel

    def _rank(self, kernel: KernelSource) -> tuple[int, int, int]:
        """Sort key for the next kernel of this thread's worker. Kernels of one module share
        functions, which are compiled once per process; long ones first, to balance the load."""
        owner = self._modules.get(kernel.function.__module__)
        shared = 1 if owner is None else 0 if owner is threading.current_thread() else 2
        return self._waiting[kernel], shared, -len(kernel.function.__code__.co_code)

    def _finish(self, kernel: KernelSource, code: bytes | None) -> None:
        with self._changed:
            if kernel in self._begun:
                self._begun.remove(kernel)
                self._done[kernel] = code
            self._changed.notify_all()

    def _give_up(self, why: str) -> None:
        if self._threads:
            log.debug("no more kernels are compiled in worker processes: %s", why)
        self._given_up = True
        for process in self._threads.values():
            process.kill()
        self._threads.clear()
        self._changed.notify_all()

    def _report_next(self) -> None:
        self._number += 1
        progress.info(
            "compiling kernels for this machine, once (%d of %d)", self._number, self._total
        )


_compilers = Compilers()


def wish(kernels: Iterable[KernelSource], processes: int, *, more: bool = False) -> None:
    """See `Compilers.wish`."""
    _compilers.wish(kernels, processes, more=more)


def result(kernel: KernelSource) -> bytes | None:
    """See `Compilers.result`."""
    return _compilers.result(kernel)


def tell(kernel: KernelSource) -> None:
    """See `Compilers.tell`."""
    _compilers.tell(kernel)


def rest() -> None:
    """See `Compilers.rest`."""
    _compilers.rest()


@atexit.register
def _close() -> None:
    _compilers.close(ending=True)


def _forget() -> None:
    """After a fork, which has none of the threads."""
    global _compilers
    _compilers = Compilers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
