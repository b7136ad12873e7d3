"""Where compiled kernels are kept: one file each, in a folder for one machine and one version.

The folder's name is made of our sources, of those who compile, and of the processor; a file's of
the kernel and of what it is compiled for. A file begins with a digest of the rest, and appears all
at once: whoever else compiles the same at the same time makes the same.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

from .host import base, host
from .processor import features
from .vector.chosen import SET

log = logging.getLogger(__name__)
PACKAGE = __name__.partition(".")[0]
DIGEST = 32
PLAIN = (int, float, str, bool, type(None))


@cache
def folder() -> Path:
    """The folder of this machine and version. Nothing is created here."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    cpu = os.environ.get("NUMBA_CPU_NAME") or host().name
    told = [version("numba"), version("llvmlite"), platform.python_version(), cpu]
    digest.update(repr([*told, *sorted(features())]).encode())
    return base() / f"{digest.hexdigest()[:16]}-{SET.name}"


def key_of(function: Callable[..., Any]) -> str | None:
    """A file's name for a kernel; None for one of somebody else's, whose sources we do not know.

    Raises TypeError for a kernel made of what has no name that is the same in every process.
    """
    if not function.__module__.startswith(f"{PACKAGE}."):
        return None
    whole = _named(function)
    return f"{function.__name__}-{hashlib.sha256(whole.encode()).hexdigest()[:24]}.o"


def _named(value: Any) -> str:
    """A value in words that are the same in every process, a function by what it closes over."""
    value = getattr(value, "py_func", getattr(value, "function", value))  # a part, an operation
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        told = [(name, _named(cell.cell_contents)) for name, cell in cells]
        return repr((value.__module__, value.__qualname__, told))
    if isinstance(value, PLAIN) or type(value).__module__ == "numpy":
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, tuple):
        return repr([_named(each) for each in value])
    raise TypeError(f"a kernel cannot be compiled for {value!r}, which has no lasting name")


def kept(key: str | None) -> bytes | None:
    """A kernel's object, if it is there and whole."""
    if key is None:
        return None
    try:
        held = (folder() / key).read_bytes()
    except OSError:
        return None
    digest, found = held[:DIGEST], held[DIGEST:]
    return found if hashlib.sha256(found).digest() == digest else None


def keep(key: str | None, found: bytes) -> None:
    """Write it down for the next process; where that cannot be, a warning says so, once."""
    if key is None:
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=folder())
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(found).digest() + found)
        try:
            os.replace(path, folder() / key)
        except OSError:
            os.unlink(path)
            if kept(key) is None:  # Windows leaves alone what another process is reading
                raise
    except OSError as error:
        _warn(str(error))


@cache
def _warn(error: str) -> None:
    log.warning(
        "cannot keep compiled kernels: %s; each process compiles them again (TRAMONTANE_CACHE "
        "names another folder)", error,
    )  # fmt: skip
