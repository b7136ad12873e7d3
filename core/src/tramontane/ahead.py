"""What a command begins before torch is imported, which takes longer than all else that it does.

Python runs on one core meanwhile. Another one can load torch's own library, without Python's lock,
a backend can get memory, and the disk can read the weights.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .devices import choose_device
from .plugin import Model, load
from .registry import Registry
from .source import bundled, local_path

LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}


def begin(model: str, device: str, registry: Registry, threads: int | None = None) -> None:
    """Begin with what a command named, if it is on this disk. threads: None leaves their number to
    the backend. Raises ConfigError, PluginError."""
    if _too_late():
        return
    threading.Thread(target=_load_library, name="tramontane-torch", daemon=True).start()
    path = local_path(model)
    if path is None and model in registry.names("models"):
        path = bundled(registry.get(Model, model))
    if path is None:
        return
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    threading.Thread(target=_read, args=(files,), name="tramontane-file", daemon=True).start()
    _, backend = choose_device(device, registry)
    if backend is not None and backend.expect is not None:
        load(backend.expect)(sum(file.stat().st_size for file in files), threads)


def _too_late() -> bool:
    """Whether there is nothing to wait for: all cores are the load's."""
    return "torch" in sys.modules


def _read(files: Sequence[Path]) -> None:
    """Let the system read files into its cache, as far as it likes."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except OSError:  # who opens it in earnest says why
            return
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def _load_library() -> None:
    """Load torch's largest library; `import torch` finds it there."""
    found = find_spec("torch")
    name = LIBRARIES.get(sys.platform)
    if found is None or found.origin is None or name is None:
        return
    try:
        ctypes.CDLL(str(Path(found.origin).parent / "lib" / name))
    except OSError:  # then `import torch` says what is wrong
        return
