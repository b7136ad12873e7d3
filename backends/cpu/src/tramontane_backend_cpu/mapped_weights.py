"""Plain weights moved to where processors read them fastest.

A mapped file lies in pages of 4 KiB, and a matrix has a row in each: looking pages up costs
a quarter of the time that reading takes. numpy asks for large pages for what is large.
"""

from __future__ import annotations

import mmap
import sys

import numpy as np
import torch
from torch import Tensor

from . import huge_pages

LEAST = 4 << 20
"""Bytes from which numpy asks for large pages."""


def moved(tensor: Tensor) -> Tensor:
    """A contiguous copy in large pages; the mapped pages of the original, if it is mapped, are let
    go. What is small, or lies where there are no large pages, is only made contiguous."""
    if not tensor.is_contiguous():
        return tensor.contiguous()
    if sys.platform != "linux" or tensor.nbytes < LEAST:
        return tensor
    copy = torch.from_numpy(np.empty(tensor.nbytes, np.uint8)).view(tensor.dtype).view(tensor.shape)
    copy.copy_(tensor)
    first, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    page = mmap.PAGESIZE
    start, stop = -(-first // page) * page, end // page * page
    if _is_file(start):
        huge_pages.advise(start, stop - start, mmap.MADV_DONTNEED)
    return copy


def _is_file(address: int) -> bool:
    """Whether an address is in a mapped file: only such pages come back when they are let go."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            bounds, *_, inode = line.split(maxsplit=5)[:5]
            first, end = (int(part, 16) for part in bounds.split("-"))
            if first <= address < end:
                return inode != "0"
    return False
