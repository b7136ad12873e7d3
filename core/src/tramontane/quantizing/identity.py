"""What tells whether a model is quantized again from the same files in the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tramontane.version import __version__

from .source import QuantizeSource


def identity_of(source: QuantizeSource, asked: Iterable[str]) -> str:
    """A sum of the source's files by name, size and time, its tensors, and what was asked."""
    folder = source.folder
    path = source.header.path
    if folder is not None:
        files = [file for file in folder.iterdir() if file.is_file()]
    else:
        first = path.name.partition("-00001-of-")[0]
        files = [file for file in path.parent.iterdir() if file.name.startswith(first)]
    found = hashlib.sha256()
    told = [
        __version__,
        *asked,
        str(path.resolve()),
        *(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in sorted(files)),
        *(f"{name} {info.shape} {info.stored}" for name, info in source.header.tensors.items()),
        *(f"{name} {kind.offer.name} {kind.name}" for name, kind in source.kinds.items()),
    ]
    found.update("\n".join(told).encode())
    for name, means in source.measured.items():
        found.update(name.encode())
        found.update(means.float().contiguous().numpy().tobytes())
    return found.hexdigest()
