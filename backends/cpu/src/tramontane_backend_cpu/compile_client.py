"""The client of a worker process that compiles kernels. See `compile_worker.py`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .object_cache import folder
from .vector.target import SET, VARIABLE

if TYPE_CHECKING:
    from .kernel_source import KernelSource

SIZE = 8
"""Bytes of the length field in front of each message."""
BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from tramontane_backend_cpu.compile_worker import serve; serve()"
)
ENVIRONMENT = {
    "PATH", "HOME", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "TRAMONTANE_CACHE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "__PYVENV_LAUNCHER__",
    "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
}  # fmt: skip
"""Environment variables passed to the worker, besides numba's: no keys, no tokens."""


class OtherProcess:
    """A worker process, not started yet. All methods except `kill` must be called in one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    @staticmethod
    def possible() -> bool:
        """Whether `sys.executable` is a Python interpreter: a frozen program, or one that embeds
        Python, would start itself."""
        name = Path(sys.executable or "").stem.lower()
        return name.startswith("python") and not getattr(sys, "frozen", False)

    def start(self) -> None:
        """Start the worker. Raises OSError, or ValueError if it has another version or CPU."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        if self._killed:
            self._process.kill()
        requests, answers = self._pipes()
        requests.write(json.dumps([str(path) for path in sys.path]).encode() + b"\n")
        requests.flush()
        greeting = read(answers)
        if greeting != folder().name.encode():
            raise ValueError(f"the worker compiles for {greeting!r}")

    def compiled(self, kernel: KernelSource) -> bytes | None:
        """A kernel's object file, None if it cannot be compiled there. Raises OSError, EOFError."""
        requests, answers = self._pipes()
        write(requests, pickle.dumps((kernel.key, kernel.origin)))
        return read(answers) or None

    def kill(self) -> None:
        """Kill the worker; may be called in any thread."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Kill the worker and close its pipes."""
        self.kill()
        if self._process is not None:
            for pipe in self._pipes():
                try:
                    pipe.close()
                except OSError:  # unwritten data
                    continue
            self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def write(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(SIZE) + message)
    pipe.flush()


def read(pipe: IO[bytes]) -> bytes:
    """Read a message. Raises EOFError if the pipe is closed."""
    return _exactly(pipe, int.from_bytes(_exactly(pipe, SIZE)))


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError("the worker has exited")
    return data


def _environment() -> dict[str, str]:
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in ENVIRONMENT or name.startswith("NUMBA_")
    }
    return {**passed, VARIABLE: SET.name}
