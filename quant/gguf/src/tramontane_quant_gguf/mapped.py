"""A file mapped into memory, private to us, so that torch may look at it without copying."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tramontane.errors import CheckpointError, ModelNotFound


class Mapped:
    """The bytes of one file. Views of it stay valid after `close`."""

    def __init__(self, path: Path) -> None:
        """Raises ModelNotFound when there is none, CheckpointError when it cannot be read."""
        try:
            with path.open("rb") as file:
                self._map = _private(file.fileno())
        except FileNotFoundError as error:
            raise ModelNotFound(f"{path}: no such file") from error
        except ValueError as error:  # mmap's word for an empty file
            raise CheckpointError(f"{path}: the file is empty") from error
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
        self.buffer = memoryview(self._map)

    def bytes(self, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        return np.frombuffer(self._map, np.uint8, count, start)

    def tensor(self, dtype: torch.dtype, start: int, nbytes: int) -> Tensor:
        """A flat view. `start` need not be a multiple of the element size: then it is a copy."""
        if start % dtype.itemsize:
            return torch.frombuffer(bytearray(self.bytes(start, nbytes)), dtype=dtype)
        return torch.frombuffer(
            self._map, dtype=dtype, count=nbytes // dtype.itemsize, offset=start
        )


def _private(descriptor: int) -> mmap.mmap:
    """Copy-on-write, since torch warns of memory that it may not write to; nobody writes."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    # without this flag Linux refuses a writable private mapping larger than memory and swap
    no_reserve = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE, which mmap does not name
    return mmap.mmap(
        descriptor,
        0,
        flags=mmap.MAP_PRIVATE | no_reserve,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )
