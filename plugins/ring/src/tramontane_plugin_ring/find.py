"""Which rank this process is, by a ring's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tramontane.parallel.meeting import Meeting

from .config import VARIABLE, float_of, read

WAIT = 600.0
"""Seconds that a rank waits for the others to be begun, on other machines, by people."""


def find(environment: Mapping[str, str], options: Mapping[str, str]) -> Meeting | None:
    """By the option `config`, else by RING_CONFIG; None without both. Raises UsageError."""
    path = options.get("config") or environment.get(VARIABLE)
    if not path:
        return None
    place = read(Path(path))
    told = {"config": path, "wait": options.get("wait") or f"{WAIT:g}"}
    weights = place.weights
    if isinstance(weights, str):
        from .speed import measured_weights  # imports torch

        weights = measured_weights(place, float_of("wait", told["wait"]), options.get("bind", ""))
    return Meeting(
        rank=place.rank, size=place.size, address=place.right_ip, port=place.port,
        secret=place.secret, weights=weights, options=told,
    )  # fmt: skip
