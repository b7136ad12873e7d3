"""What a command begins before torch is imported, which takes longer than all else that it does.

Python runs on one core meanwhile. Another one can load torch's own library, without Python's lock,
and a backend can get memory.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from .devices import choose_device
from .plugin import load
from .registry import Registry
from .source import local_path

LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}


def begin(model: str, device: str, registry: Registry) -> None:
    """Begin with what a command named, if it is on this disk. Raises ConfigError, PluginError."""
    if "torch" not in sys.modules:
        threading.Thread(target=_load_library, name="tramontane-torch", daemon=True).start()
    path = local_path(model)
    if path is None:
        return
    _, backend = choose_device(device, registry)
    if backend is not None and backend.expect is not None:
        load(backend.expect)(_weights(path))


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


def _weights(path: Path) -> int:
    """Bytes of weights in a file or folder, about."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)
