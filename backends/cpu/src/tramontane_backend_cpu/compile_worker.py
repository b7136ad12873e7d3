"""The worker process that compiles kernels; `compile_client.py` is the client.

It imports numba and not torch, writes no files, and exits when its parent process has exited.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys

from .compile_client import read, write
from .object_cache import folder


def serve() -> None:
    """Return an object file for each requested kernel; empty for one that cannot be compiled."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # discard anything that is printed
        try:
            write(answers, folder().name.encode())
            from .compiling import compiled

            gc.disable()  # collecting takes longer than the garbage of a few kernels is worth
            while True:
                key, origin = pickle.loads(read(sys.stdin.buffer))
                try:
                    kernel = origin.kernel()
                    code = compiled(kernel) if kernel.key == key else b""
                except Exception:  # noqa: BLE001 - the parent compiles it, and reports the error
                    code = b""
                write(answers, code)
        except (EOFError, BrokenPipeError):
            os._exit(0)
