"""Each layer by the format of its group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Layout

from . import floats, integers
from .scheme import Scheme, scheme_of

UNUSED = (
    "input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point",
)  # fmt: skip
"""Scales of activations, and of keys and values where they leave k_proj and v_proj."""
PLAIN = {"weight", *UNUSED}


def translate(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str = "the layer"
) -> Layout | None:
    """A layer's matrix (rows, columns); None where it is dense as stored, with scales of
    activations only. Raises CheckpointError."""
    for name in UNUSED:
        tensors.get(name)
    if tensors.keys() <= PLAIN and "weight" in tensors and tensors["weight"].dtype.itemsize > 1:
        return None
    scheme = scheme_of(config, path)
    try:
        return _by_format(tensors, scheme, path)
    except KeyError as error:
        there = ", ".join(sorted(tensors)) or "nothing"
        raise CheckpointError(
            f"{path}: {error} is missing, which {scheme.format} needs; it has {there}"
        ) from error


def _by_format(tensors: Mapping[str, Tensor], scheme: Scheme, path: str) -> Layout:
    if "weight" in tensors and tensors["weight"].dtype.itemsize > 1:
        kind = str(tensors["weight"].dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{path}: its weight is {kind}, with scales that it is not yet rounded to "
            "(quantization_status is not compressed); save the model compressed"
        )
    if scheme.format == "pack-quantized":
        return integers.packed(tensors, scheme, path)
    if scheme.format in floats.PACKED:
        return floats.packed(tensors, scheme, path)
    if scheme.floats or scheme.format in ("float-quantized", "mxfp8-quantized"):
        return floats.eight_bits(tensors, scheme, path)
    return integers.whole(tensors, scheme, path)
