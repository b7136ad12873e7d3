"""How fast this machine computes, compared with the others of the ring."""

from __future__ import annotations

import logging
import struct
import time

import torch
from tramontane.parallel.group import TIME_LIMIT

from .config import Place
from .ring import Ring

log = logging.getLogger(__name__)
SPEED = struct.Struct(">d")
SIDE = 4096
"""Rows and columns of the matrix: 64 MB, more than caches hold."""
TURNS = 5
STEPS = 20
"""Weights are whole numbers of this part of the fastest rank's: what is measured is not exact, and
shares that differ from start to start change the last bits of sums."""


def measured_weights(place: Place, wait: float, bind: str = "") -> tuple[float, ...]:
    """By what all ranks measure now. Raises PeerLost, UsageError."""
    mine = speed()
    ring = Ring(place, wait, TIME_LIMIT, (), bind)
    try:
        parts = ring.parts(SPEED.pack(mine), [SPEED.size] * place.size)
    finally:
        ring.close()
    weights = rounded([SPEED.unpack(part)[0] for part in parts])
    log.warning(
        'the ranks share the model by their speed; for the same bits at each start: "weights": %s',
        list(weights),
    )
    return weights


def rounded(speeds: list[float]) -> tuple[float, ...]:
    """To twentieths of the fastest, at least one."""
    fastest = max(speeds)
    return tuple(max(1.0, float(round(STEPS * each / fastest))) for each in speeds)


def speed() -> float:
    """Bytes of a matrix per second that are multiplied with a vector: what answers wait for."""
    matrix, x = torch.ones(SIDE, SIDE), torch.ones(SIDE)
    best = min(_seconds(matrix, x) for _ in range(TURNS))
    return matrix.nbytes / best


def _seconds(matrix: torch.Tensor, x: torch.Tensor) -> float:
    started = time.perf_counter()
    matrix @ x
    return time.perf_counter() - started
