"""The process that compiles kernels for others: `other_process.py` tells which.

It imports numba and no torch, writes no file, and ends when whoever began it has ended.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys

from .object_cache import folder
from .other_process import read, write


def serve() -> None:
    """Answer with an object for each kernel; with nothing for one that is no use there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for who began this
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever is printed is no answer
        try:
            write(answers, folder().name.encode())
            from .compiling import compiled

            gc.disable()  # what a kernel leaves behind is less than looking for it costs
            while True:
                key, origin = pickle.loads(read(sys.stdin.buffer))
                try:
                    kernel = origin.kernel()
                    found = compiled(kernel) if kernel.key == key else b""
                except Exception:  # noqa: BLE001 - who asked meets it himself, and says what it is
                    found = b""
                write(answers, found)
        except (EOFError, BrokenPipeError):
            os._exit(0)
