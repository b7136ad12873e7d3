"""A process that compiles kernels, as the one that asks it knows it. See `compile_process.py`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .object_cache import folder
from .vector.chosen import SET, VARIABLE

if TYPE_CHECKING:
    from .numba_setup import Kernel

SIZE = 8
"""Bytes that say how long a message is."""
BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from tramontane_backend_cpu.compile_process import serve; serve()"
)
ENVIRONMENT = {
    "PATH", "HOME", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "TRAMONTANE_CACHE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "__PYVENV_LAUNCHER__",
    "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
}  # fmt: skip
"""What it is told of the environment, besides what numba is: no keys, no tokens."""


class OtherProcess:
    """Not started yet. Every method but `kill` belongs to one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    @staticmethod
    def possible() -> bool:
        """Whether this process was begun by a Python that can be begun again: a frozen program, or
        one that embeds Python, would begin itself."""
        name = Path(sys.executable or "").stem.lower()
        return name.startswith("python") and not getattr(sys, "frozen", False)

    def start(self) -> None:
        """Raises OSError, ValueError for one of another version or for another processor."""
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
            raise ValueError(f"a process that compiles for {greeting!r} answers")

    def compiled(self, kernel: Kernel) -> bytes | None:
        """A kernel's object, None if it cannot be compiled there. Raises OSError, EOFError."""
        requests, answers = self._pipes()
        write(requests, pickle.dumps((kernel.key, kernel.origin)))
        return read(answers) or None

    def kill(self) -> None:
        """From any thread."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """It has nothing to lose."""
        self.kill()
        if self._process is not None:
            for pipe in self._pipes():
                try:
                    pipe.close()
                except OSError:  # what was to be written
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
    """Raises EOFError where there is no more."""
    return _exactly(pipe, int.from_bytes(_exactly(pipe, SIZE)))


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        raise EOFError("it has ended")
    return found


def _environment() -> dict[str, str]:
    told = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in ENVIRONMENT or name.startswith("NUMBA_")
    }
    return {**told, VARIABLE: SET.name}
