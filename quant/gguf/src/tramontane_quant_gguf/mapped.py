"""A file's bytes, in two ways: mapped, for what is used as it lies; read in runs, for the rest."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tramontane.errors import CheckpointError, ModelNotFound


class Mapped:
    """The bytes of one file. Views of it stay valid for as long as somebody holds them."""

    def __init__(self, path: Path) -> None:
        """Raises ModelNotFound when there is none, CheckpointError when it cannot be read."""
        self.path = path
        if path.is_dir():
            raise CheckpointError(f"{path}: cannot be read: it is a folder")
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._closed = weakref.finalize(self, os.close, self.descriptor)
            self._map = _private(self.descriptor)
        except FileNotFoundError as error:
            raise ModelNotFound(f"{path}: no such file") from error
        except ValueError as error:  # mmap's word for an empty file
            raise CheckpointError(f"{path}: the file is empty") from error
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
        self.buffer = memoryview(self._map)

    def tensor(self, dtype: torch.dtype, start: int, nbytes: int) -> Tensor:
        """A flat view. `start` need not be a multiple of the element size: then it is a copy."""
        if start % dtype.itemsize:
            return torch.frombuffer(bytearray(self.buffer[start : start + nbytes]), dtype=dtype)
        count = nbytes // dtype.itemsize
        return torch.frombuffer(self._map, dtype=dtype, count=count, offset=start)

    def stretch(self, start: int, nbytes: int) -> Stretch:
        """The bytes of a tensor that is going to be translated, and then not needed any more."""
        return Stretch(self, start, nbytes)

    def read_into(self, start: int, into: NDArray[np.uint8]) -> None:
        """Fill an array with the bytes from `start`. Raises CheckpointError when they are gone."""
        if not hasattr(os, "preadv"):
            into[:] = np.frombuffer(self._map, np.uint8, len(into), start)
            return
        done = 0
        while done < len(into):
            count = os.preadv(self.descriptor, [into.data[done:]], start + done)
            if count == 0:
                raise CheckpointError(
                    f"{self.path}: the file has become shorter: nothing at {start + done}"
                )
            done += count

    def close(self) -> None:
        """Let go of the file; mapped views of it stay."""
        self._closed()


class Stretch:
    """Bytes of a file that are read as they are sliced, into the same memory every time.

    Faulting in the pages of a mapping costs three times as much as reading them, and leaves them
    counted as ours.
    """

    def __init__(self, file: Mapped, start: int, nbytes: int) -> None:
        self._file, self._start, self._nbytes = file, start, nbytes
        self._buffer = np.empty(0, np.uint8)

    @property
    def place(self) -> tuple[int, int]:
        """The file's descriptor, and where in it the bytes begin."""
        return self._file.descriptor, self._start

    def __len__(self) -> int:
        return self._nbytes

    def __getitem__(self, run: slice) -> NDArray[np.uint8]:
        start, stop, _ = run.indices(self._nbytes)
        if len(self._buffer) < stop - start:
            self._buffer = np.empty(stop - start, np.uint8)
        into = self._buffer[: stop - start]
        self._file.read_into(self._start + start, into)
        return into


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
