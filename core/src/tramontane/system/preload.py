"""Preloading: work that starts in the background before torch is imported.

Importing torch is the longest part of a command's startup, and Python uses one core for it.
Meanwhile another thread can load torch's library without holding the GIL, a backend can allocate
memory, and the system can read the weights into its page cache.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tramontane.model.source import bundled, local_path
from tramontane.plugin import Model, load
from tramontane.prepared import shelf
from tramontane.prepared.identity import identity
from tramontane.registry import Registry

from . import torch_parts
from .devices import choose_device

LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}


def begin(
    model: str,
    device: str,
    registry: Registry,
    threads: int | None = None,
    *,
    stays: bool = True,
) -> None:
    """Start preloading the model of a command, if it is a local one. threads: None leaves their
    number to the backend. stays: whether weights take in memory what they take in the file.

    Raises ConfigError, PluginError.
    """
    if _too_late():
        return
    threading.Thread(target=_load_library, name="tramontane-torch", daemon=True).start()
    path = local_path(model)
    if path is None and model in registry.names("models"):
        path = bundled(registry.get(Model, model))
    if path is None:
        return
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    prepared = _prepared(path) if stays else None
    if prepared is not None:  # it is mapped, so that no memory is needed for it
        files, stays = [prepared], False
        torch_parts.leave_out()
    threading.Thread(target=_read, args=(files,), name="tramontane-file", daemon=True).start()
    _, backend = choose_device(device, registry)
    if stays and backend is not None and backend.expect is not None:
        load(backend.expect)(sum(file.stat().st_size for file in files), threads)


def _prepared(path: Path) -> Path | None:
    """The prepared model that will probably be used instead of a checkpoint."""
    if not shelf.is_on():
        return None
    known = identity(path)
    return None if known is None else shelf.has(known)


def _too_late() -> bool:
    """Whether torch is imported already, so that preloading would only compete for cores."""
    return "torch" in sys.modules


def _read(files: Sequence[Path]) -> None:
    """Ask the system to read files into its page cache."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except OSError:  # the loader opens the file again, and reports the error
            return
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def _load_library() -> None:
    """Load torch's largest library, so that `import torch` finds it loaded."""
    spec = find_spec("torch")
    name = LIBRARIES.get(sys.platform)
    if spec is None or spec.origin is None or name is None:
        return
    try:
        ctypes.CDLL(str(Path(spec.origin).parent / "lib" / name))
    except OSError:  # `import torch` will report the error
        return
