"""IQ4_NL and IQ4_XS from floats: ggml's search for scales.

x: (blocks, 32 or 256). importance: as in `k_quants.py`. Source: ggml's quantize_row_iq4_nl_impl.
"""

from __future__ import annotations

import numpy as np

from tramontane_quant_gguf.formats.iq4 import NUMBERS

from .search import EPSILON, Floats, inverse, nearest, ratio, signed_peak, sums
from .simple import Bytes, halves, joined

VALUES = np.array(NUMBERS, np.float32)
BY_HALVES = np.searchsorted(
    (VALUES[1:] + VALUES[:-1]) / 2, np.arange(-256, 256) / 2, side="right"
).astype(np.uint8)
"""Which number is nearest, by twice the number rounded down, from -256 to 255: what is between two
numbers has its border at a half or a whole one."""
TRIES = 7


def iq4_nl(x: Floats, importance: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 18) bytes."""
    scale = _scales(x, x, importance)
    codes = _nearest_index(x * inverse(scale))
    return joined(scale.astype("<f2"), halves(codes))


def iq4_xs(x: Floats, importance: Floats | None) -> Bytes:
    """(blocks, 256) -> (blocks, 136) bytes."""
    groups = x.reshape(-1, 32)
    importance = None if importance is None else importance.reshape(-1, 32)
    scale = _scales(groups, x, importance).reshape(-1, 8)
    d = signed_peak(scale) / np.float32(-32)
    rounded = d.astype("<f2").astype(np.float32)
    factors = np.clip(nearest(inverse(d) * scale), -32, 31)
    codes = _nearest_index(groups * inverse((rounded * factors).reshape(-1, 1)))
    stored = (factors + 32).astype(np.uint8)
    low = stored[:, ::2] & 15 | (stored[:, 1::2] & 15) << 4
    places = 2 * np.arange(8, dtype=np.uint16)
    high = ((stored >> 4).astype(np.uint16) << places).sum(-1, dtype=np.uint16)[:, None]
    return joined(d.astype("<f2"), high.astype("<u2"), low, halves(codes).reshape(len(x), -1))


def _nearest_index(x: Floats) -> Bytes:
    """Which of the 16 numbers is nearest."""
    index: Bytes = BY_HALVES[np.floor(np.clip(x, -128, 127.5) * 2).astype(np.int16) + 256]
    return index


def _scales(groups: Floats, blocks: Floats, importance: Floats | None) -> Floats:
    """The scale of each group of 32, (groups, 1)."""
    weights = groups * groups
    if importance is not None:
        mean = (blocks * blocks).sum(-1, dtype=np.float32) * np.float32(2 / blocks.shape[-1])
        mean = np.repeat(mean, len(groups) // len(blocks))[:, None]
        weights = importance * np.sqrt(mean + weights)
    peak = signed_peak(groups)
    there = np.abs(peak) >= EPSILON
    peak = np.where(there, peak, np.float32(1))
    scale = best = np.zeros_like(peak)
    starts = [-VALUES[0] / peak]
    tried = [np.float32(step + VALUES[0]) / peak for step in range(-TRIES, TRIES + 1)]
    for number, step in enumerate([*starts, *tried]):
        values = VALUES[_nearest_index(step * groups)]
        weighted = weights * values
        sum_qx, sum_q2 = sums(weighted * groups), sums(weighted * values)
        better = (sum_q2 > 0) & (sum_qx * sum_qx > best * sum_q2) | (number == 0)
        scale = np.where(better, ratio(sum_qx, sum_q2), scale)
        best = np.where(better, scale * sum_qx, best)
    return np.where(there, scale, np.float32(0))
