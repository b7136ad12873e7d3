"""The cache of compiled kernels: one file each, in a folder for one machine and one version.

The folder's name is a hash of the backend's sources, the compilers' versions and the processor; a
file's is a hash of the kernel and its parameters. A file begins with a digest of the rest, and is
written atomically: processes that compile the same kernel at the same time write equal files.
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

from .cpu_features import base, host
from .processor import features
from .vector.target import SET

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
    versions = [version("numba"), version("llvmlite"), platform.python_version(), cpu]
    digest.update(repr([*versions, *sorted(features())]).encode())
    return base() / f"{digest.hexdigest()[:16]}-{SET.name}"


def key_of(function: Callable[..., Any]) -> str | None:
    """A kernel's file name; None for one of another package, whose sources are not hashed.

    Raises TypeError if a parameter has no representation that is the same in every process.
    """
    if not function.__module__.startswith(f"{PACKAGE}."):
        return None
    name = _named(function)
    return f"{function.__name__}-{hashlib.sha256(name.encode()).hexdigest()[:24]}.o"


def _named(value: Any) -> str:
    """A representation that is the same in every process; functions with their closures."""
    value = getattr(value, "py_func", getattr(value, "function", value))  # a part, an operation
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        closure = [(name, _named(cell.cell_contents)) for name, cell in cells]
        return repr((value.__module__, value.__qualname__, closure))
    if isinstance(value, PLAIN) or type(value).__module__ == "numpy":
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, tuple):
        return repr([_named(each) for each in value])
    raise TypeError(f"a kernel cannot be compiled for {value!r}, which has no lasting name")


def kept(key: str | None) -> bytes | None:
    """A kernel's cached object file, if it exists and is intact."""
    if key is None:
        return None
    try:
        data = (folder() / key).read_bytes()
    except OSError:
        return None
    digest, code = data[:DIGEST], data[DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def keep(key: str | None, code: bytes) -> None:
    """Write an object file to the cache; logs one warning if that fails."""
    if key is None:
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=folder())
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        try:
            os.replace(path, folder() / key)
        except OSError:
            os.unlink(path)
            if kept(key) is None:  # Windows does not replace a file that another process reads
                raise
    except OSError as error:
        _warn(str(error))


@cache
def _warn(error: str) -> None:
    log.warning(
        "cannot keep compiled kernels: %s; each process compiles them again (TRAMONTANE_CACHE "
        "names another folder)", error,
    )  # fmt: skip
