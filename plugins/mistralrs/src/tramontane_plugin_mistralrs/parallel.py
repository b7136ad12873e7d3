"""RING_CONFIG and MISTRALRS_MN_*: one model over several processes or machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

from .plan import Plan

RING = "`--ring`, where a distribution brings it, after a look at the file; else refused"
TENSOR_PARALLEL = "`--tensor-parallel`, where it is there, on one machine; else refused"
LOCAL = "MISTRALRS_MN_LOCAL_WORLD_SIZE"
NUMBERS = {"master_port": (1, 65535), "port": (1, 65535), "right_port": (1, 65535),
           "rank": (0, 1 << 20), "world_size": (2, 1 << 20)}  # fmt: skip


def add_parallel(plan: Plan, environ: Mapping[str, str], has: frozenset[str]) -> None:
    """The options of a model on several processes. has: the options of our command.

    Raises UsageError for what cannot be had here.
    """
    if path := environ.get("RING_CONFIG"):
        read_ring(path)
        if "ring" not in has:
            raise UsageError(
                f"RING_CONFIG={path}: a model over several machines needs a distribution that "
                "joins them: pip install tramontane-plugin-ring; unset RING_CONFIG to run on this "
                "machine alone"
            )
        _add(plan, {"ring": path})
    if size := environ.get(LOCAL):
        if not size.isdecimal() or not int(size):
            raise UsageError(f"{LOCAL}={size}: not a number of devices")
        if int(size) > 1:
            if "tensor_parallel" not in has:
                raise UsageError(
                    f"{LOCAL}={size}: a model split over devices is not part of this installation; "
                    "its layers may be placed on them: -n 0:16;1:16, or unset it"
                )
            _add(plan, {"tensor_parallel": size})
    for name, value in environ.items():
        if name.startswith("MISTRALRS_MN_") and name != LOCAL and value:
            raise UsageError(
                f"{name}={value}: machines are joined by a ring here: RING_CONFIG=FILE with "
                "master_ip, master_port, port, right_port, right_ip, rank and world_size"
            )


def _add(plan: Plan, options: dict[str, Any]) -> None:
    for target in plan.models or [plan.options]:
        target.update(options)


def read_ring(path: str) -> dict[str, Any]:
    """The ring of a file, checked: master_ip, master_port, port, right_port, rank, world_size, and
    right_ip, localhost unless it is given. Raises UsageError."""
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"RING_CONFIG={path} cannot be read: {error}") from error
    where = f"RING_CONFIG={path}"
    if not isinstance(value, dict):
        raise UsageError(f"{where} should be a JSON object")
    if unknown := value.keys() - NUMBERS.keys() - {"master_ip", "right_ip"}:
        raise UsageError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    found = dict(value)
    for key, (least, most) in NUMBERS.items():
        number = found.get(key)
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise UsageError(f"{where}: {key} should be a number from {least} to {most}")
    if found["rank"] >= found["world_size"]:
        raise UsageError(
            f"{where}: rank {found['rank']} is none of {found['world_size']}, from 0 on"
        )
    if found["world_size"] & (found["world_size"] - 1):
        raise UsageError(f"{where}: world_size {found['world_size']} is no power of 2")
    found.setdefault("right_ip", "localhost")
    for key in ("master_ip", "right_ip"):
        if not isinstance(found.get(key), str) or not found[key]:
            raise UsageError(f"{where}: {key} should be an address")
    return found
