"""Bytes that a matrix has in memory, where that is not as many as in the file."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts.block_scales import NARROW

from .blocks import blocks_of, by_scales
from .described import Described, described
from .floats import ELEMENTS
from .integers import bits_of, group_of, held_bits
from .layers import BEFORE, parts_of

BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F64": 8}


def memory(
    tensors: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """As `layers.translate` makes it, or a little more; what it would refuse counts as in the
    file."""
    parts, name = parts_of(tensors, path)
    below = {part: tensors[held] for part, held in parts.items()}
    held = sum(info.nbytes for info in tensors.values())
    try:
        said = described(name, metadata, path) if parts else None
        if said is None:
            return held
        if BEFORE in below and shape is not None:
            return 4 * prod(shape)
        return _bytes(below, said)
    except (CheckpointError, KeyError):
        return held


def _bytes(tensors: Mapping[str, TensorInfo], said: Described) -> int:
    codes = tensors["qdata"]
    if said.kind == "Int4TilePackedTo4dTensor":
        count = prod(said.sizes("shape"))
        return count // 2 + 4 * (count // group_of(said))
    if said.kind in ("Int4Tensor", "NVFP4Tensor"):
        above = 4 * prod(codes.shape[:-1]) if "per_tensor_scale" in tensors else 0
        groups = codes.nbytes * 2 // said.number("block_size") if said.kind == "NVFP4Tensor" else 0
        rest = sum(tensors[part].nbytes for part in ("scale", "zero_point") if part in tensors)
        return codes.nbytes + above + (groups or rest)
    if said.kind == "MXTensor":
        bits, _ = ELEMENTS.get(said.type_name("elem_dtype"), (8, ""))
        count = codes.nbytes * 2 if bits == 4 else codes.nbytes
        return count * bits // 8 + count // said.number("block_size")
    scale, size = tensors["scale"], BYTES.get(tensors["scale"].stored, 1)
    if said.kind == "Float8Tensor":
        blocks, bits = by_scales(codes.shape, scale.shape, said.path), 8
    else:
        blocks = blocks_of(codes.shape, said.sizes("block_size"), prod(scale.shape), said.path)
        bits = bits_of(said) if said.kind == "IntxUnpackedToInt8Tensor" else 8
        zero = tensors.get("zero_point")
        if zero is not None and zero.stored != "I8":  # fractions, which a layout may not have
            return prod(codes.shape) * said.dtype("dtype").itemsize
        size += 0 if zero is None else 1
    count = prod(codes.shape)
    if blocks.group < NARROW:
        return count * said.dtype("dtype").itemsize
    return count * held_bits(bits, codes.shape[-1]) // 8 + count // blocks.group * size
