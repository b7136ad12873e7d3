"""Kernels compiled by other processes, several at once, beside whatever this one does.

Compiling is mostly numba's Python, of which a process does one thing at a time. So kernels that
will be needed are wished for, `compile_process.py` makes their objects, and who asks for one waits
for it. Nothing depends on these processes: what they do not bring is compiled here.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tramontane import memory

from .object_cache import keep
from .other_process import OtherProcess

if TYPE_CHECKING:
    from .numba_setup import Kernel

log = logging.getLogger(__name__)
progress = logging.getLogger("tramontane.progress")
LEAST = 3
"""Kernels that are worth other processes: to start one takes as long as to compile two."""
EACH = 2
"""Kernels for each process, at least."""
MOST = 8
"""Processes at once."""
ROOM = 512 << 20
"""Bytes of free memory for each: it takes up to 210 MB, and the weights are still to come."""
PATIENCE = 60.0
"""Seconds without a sign of life after which the processes are given up."""
IDLE = 10.0
"""Seconds without work after which a process is ended, unless `rest` has said that it may."""


class Compilers:
    """What was wished for, and who is at it; for any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Kernel, int] = {}
        """With the number of the wish: earlier ones are needed earlier."""
        self._begun: set[Kernel] = set()
        self._done: dict[Kernel, bytes | None] = {}
        self._threads: dict[threading.Thread, OtherProcess] = {}
        self._modules: dict[str, threading.Thread] = {}
        self._given_up = self._resting = self._ending = False
        self._wishes = self._number = self._total = 0

    def wish(self, kernels: Iterable[Kernel], processes: int, *, more: bool = False) -> None:
        """Have those compiled that are not yet, in so many processes at most, if it is worth it.
        more: others are to come, for which processes may already begin."""
        new = [
            kernel
            for kernel in dict.fromkeys(kernels)
            if kernel.origin is not None and kernel.key is not None and not kernel.is_ready()
        ]
        if not new or processes < 2 or not OtherProcess.possible():
            return
        room = memory.free() // ROOM
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
            most = min(processes, MOST, room, busy)
            for _ in range(len(self._threads), most):
                process = OtherProcess()
                thread = threading.Thread(
                    target=self._use, args=(process,), name="tramontane-compile", daemon=True
                )
                self._threads[thread] = process
                thread.start()

    def result(self, kernel: Kernel) -> bytes | None:
        """A kernel's object; None: who asks is to compile it himself."""
        with self._changed:
            while self._threads and (kernel in self._waiting or kernel in self._begun):
                if not self._changed.wait(PATIENCE):
                    self._give_up(f"nothing came for {PATIENCE:g} s")
            while self._ending and threading.current_thread().daemon:
                self._changed.wait()  # who compiles while Python ends, takes it down
            return self._done.get(kernel)

    def tell(self, kernel: Kernel) -> None:
        """This process compiles a kernel itself, now."""
        with self._changed:
            if kernel in self._begun or kernel in self._done:
                return  # it was said when another began with it
            if self._waiting.pop(kernel, None) is None:
                self._total += 1
            self._say_next()

    def rest(self) -> None:
        """End the processes that have no work: no more is to come soon."""
        with self._changed:
            self._resting = True
            self._changed.notify_all()

    def close(self, *, ending: bool = False) -> None:
        """End the processes. ending: and the one that this is."""
        with self._changed:
            self._ending = ending
            threads = list(self._threads)
            self._give_up("this process ends")
        for thread in threads:
            thread.join(1)

    def _use(self, process: OtherProcess) -> None:
        """A thread: what one process is told, and what it answers."""
        kernel, why = None, ""
        try:
            process.start()
            while (kernel := self._next()) is not None:
                found = process.compiled(kernel)
                if found is not None:
                    keep(kernel.key, found)
                self._finish(kernel, found)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for it
            why = f"{type(error).__name__}: {error}"
        process.end()
        with self._changed:
            self._threads.pop(threading.current_thread(), None)
            if kernel is not None:
                self._finish(kernel, None)
            if why and not self._given_up:
                self._give_up(why)
            self._changed.notify_all()

    def _next(self) -> Kernel | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._resting or self._given_up, IDLE)
            if not self._waiting or self._given_up:
                return None
            kernel = min(self._waiting, key=self._rank)
            del self._waiting[kernel]
            self._modules.setdefault(kernel.function.__module__, threading.current_thread())
            self._begun.add(kernel)
            self._say_next()
            return kernel

    def _rank(self, kernel: Kernel) -> tuple[int, int, int]:
        """What this thread's process is best told next. Kernels of a module share parts, which are
        compiled once in a process; long ones come first, or all would wait for them in the end."""
        owner = self._modules.get(kernel.function.__module__)
        shared = 1 if owner is None else 0 if owner is threading.current_thread() else 2
        return self._waiting[kernel], shared, -len(kernel.function.__code__.co_code)

    def _finish(self, kernel: Kernel, found: bytes | None) -> None:
        with self._changed:
            if kernel in self._begun:
                self._begun.remove(kernel)
                self._done[kernel] = found
            self._changed.notify_all()

    def _give_up(self, why: str) -> None:
        if self._threads:
            log.debug("no more kernels are compiled by other processes: %s", why)
        self._given_up = True
        for process in self._threads.values():
            process.kill()
        self._threads.clear()
        self._changed.notify_all()

    def _say_next(self) -> None:
        self._number += 1
        progress.info(
            "compiling kernels for this machine, once (%d of %d)", self._number, self._total
        )


_compilers = Compilers()


def wish(kernels: Iterable[Kernel], processes: int, *, more: bool = False) -> None:
    """See `Compilers.wish`."""
    _compilers.wish(kernels, processes, more=more)


def result(kernel: Kernel) -> bytes | None:
    """See `Compilers.result`."""
    return _compilers.result(kernel)


def tell(kernel: Kernel) -> None:
    """See `Compilers.tell`."""
    _compilers.tell(kernel)


def rest() -> None:
    """See `Compilers.rest`."""
    _compilers.rest()


@atexit.register
def _close() -> None:
    _compilers.close(ending=True)


def _forget() -> None:
    """A fork has none of the threads."""
    global _compilers
    _compilers = Compilers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
