"""What a checkpoint's `quantization` says of each layer.

    {"group_size": 64, "bits": 4, "mode": "affine",
     "model.layers.0.mlp.gate": {"group_size": 64, "bits": 8},  "lm_head": false}

A layer that differs has its path as a key. Its object stands alone: what it does not name is the
mode's default and not what the other layers have, and its mode is affine unless it names another.
A null means the same. transformers' `metal` has no such keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

DEFAULTS = {"affine": (64, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}
"""Group and bits of each mode. Those of the floating modes are fixed."""

BITS = (1, 2, 3, 4, 5, 6, 8)
"""Of affine codes."""

OWN = ("group_size", "bits", "mode")
WITHOUT_EFFECT = ("quant_method", "modules_to_not_convert", "dequantize")
"""Which layers are quantized is seen from their tensors."""


@dataclass(frozen=True)
class Kind:
    """How a layer is quantized. group: columns that share a scale."""

    mode: str
    bits: int
    group: int


def kind_of(config: Mapping[str, Any], path: str) -> Kind | None:
    """How the layer at `path` is quantized; None: it is not. Raises CheckpointError."""
    for key, value in config.items():
        if key not in (*OWN, *WITHOUT_EFFECT) and not isinstance(value, Mapping | bool):
            raise CheckpointError(
                f"{path}: the quantization has {one_line(key, 60)}={one_line(repr(value), 60)}, "
                "which is not known; take it out if it does not change the weights"
            )
    own = config.get(path, True)
    if own is False:
        return None
    said = own if isinstance(own, Mapping) else {key: config.get(key) for key in OWN}
    for key, value in said.items():
        if key not in OWN and value:
            raise CheckpointError(
                f"{path}: its quantization has {one_line(key, 60)}={one_line(repr(value), 60)}, "
                f"which is not supported; supported are {', '.join(OWN)}"
            )
    mode = said.get("mode") or "affine"
    if mode not in DEFAULTS:
        raise CheckpointError(
            f"{path}: mode={one_line(repr(mode), 60)} is not one of {', '.join(DEFAULTS)}"
        )
    group, bits = DEFAULTS[mode]
    kind = Kind(mode, _number(said, "bits", bits, path), _number(said, "group_size", group, path))
    if mode == "affine" and kind.bits not in BITS:
        raise CheckpointError(f"{path}: bits={kind.bits} is not one of {', '.join(map(str, BITS))}")
    if mode != "affine" and (kind.group, kind.bits) != (group, bits):
        raise CheckpointError(
            f"{path}: {mode} has bits={bits} and group_size={group}, not bits={kind.bits} and "
            f"group_size={kind.group}"
        )
    return kind


def _number(said: Mapping[str, Any], name: str, default: int, path: str) -> int:
    value = default if said.get(name) is None else said[name]
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise CheckpointError(
            f"{path}: {name}={one_line(repr(value), 60)} is no whole number above 0"
        )
    return value
