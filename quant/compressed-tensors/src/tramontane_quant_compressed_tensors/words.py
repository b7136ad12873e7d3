"""Codes of 1 to 8 bits in words of 32, without unused bits or with them.

Without (since version 0.18): code i has the bits i*b ... i*b + b - 1 of a row's words, read as one
stream from the lowest bit of the first word. With: a word has 32 // b codes, the first in the
lowest bits, and the rest of its bits are unused. Both are the same where b divides 32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def width(codes: int, bits: int, *, padded: bool) -> int:
    """Words that have so many codes."""
    return -(-codes // (32 // bits)) if padded else -(-codes * bits // 32)


def unpack_words(words: Tensor, bits: int, codes: int, padded: bool) -> Tensor:
    """words: (rows, words) int32, as many as one of both ways has -> (rows, codes) uint8. padded:
    which way it is where the number of words does not tell."""
    fits = {way: words.shape[1] == width(codes, bits, padded=way) for way in (False, True)}
    if not (fits[True] and (padded or not fits[False])):
        # one column may count as contiguous with any stride, of which there is no view of bytes
        rows = words.clone(memory_format=torch.contiguous_format)
        return unpack_stream(rows.view(torch.uint8), bits, codes)
    each, mask = 32 // bits, (1 << bits) - 1
    found = torch.empty(len(words), words.shape[1] * each, dtype=torch.uint8)
    for place in range(each):
        found[:, place::each] = (words >> place * bits) & mask
    return found[:, :codes]


def unpack_stream(raw: Tensor, bits: int, codes: int) -> Tensor:
    """raw: (rows, bytes) uint8, a stream of bits -> (rows, codes) uint8."""
    if bits == 8:
        return raw[:, :codes]
    blocks, mask = -(-codes // 8), (1 << bits) - 1
    if raw.shape[1] != blocks * bits:  # eight codes are `bits` bytes
        whole = raw.new_zeros(len(raw), blocks * bits)
        kept = min(raw.shape[1], whole.shape[1])
        whole[:, :kept] = raw[:, :kept]
        raw = whole
    found = torch.empty(len(raw), blocks * 8, dtype=torch.uint8)
    for place in range(8):
        byte, shift = divmod(place * bits, 8)
        part = raw[:, byte::bits] >> shift
        if shift + bits > 8:
            part = part | raw[:, byte + 1 :: bits] << (8 - shift)
        found[:, place::8] = part & mask
    return found[:, :codes]
