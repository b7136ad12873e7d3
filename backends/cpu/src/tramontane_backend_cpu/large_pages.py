"""Copy unquantized weights to huge pages, which the processor reads fastest.

A mapped file has pages of 4 KiB, and consecutive rows are in different pages: TLB misses cost a
quarter of the reading time. numpy requests huge pages for large arrays.
"""

from __future__ import annotations

import mmap
import sys

import numpy as np
import torch
from torch import Tensor

from . import page_size

LEAST = 4 << 20
"""Minimum size in bytes for which numpy requests huge pages."""


def moved(tensor: Tensor) -> Tensor:
    """A copy of a tensor in huge pages, in the same shape; if the original is a mapped file, its
    pages are released."""
    if sys.platform != "linux" or tensor.nbytes < LEAST or not tensor.is_contiguous():
        return tensor
    copy = torch.from_numpy(np.empty(tensor.nbytes, np.uint8)).view(tensor.dtype).view(tensor.shape)
    copy.copy_(tensor)
    first, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    page = mmap.PAGESIZE
    start, stop = -(-first // page) * page, end // page * page
    if _is_file(start):
        page_size.advise(start, stop - start, mmap.MADV_DONTNEED)
    return copy


def _is_file(address: int) -> bool:
    """Whether an address is in a mapped file: only such pages can be read again when released."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            bounds, *_, inode = line.split(maxsplit=5)[:5]
            first, end = (int(part, 16) for part in bounds.split("-"))
            if first <= address < end:
                return inode != "0"
    return False
