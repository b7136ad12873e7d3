"""A quantized matrix as a layout: by what torchao says of it, one of its kinds of tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout

from . import floats, integers, tiles
from .described import Described, described
from .integers import name_of

READ: dict[str, Callable[[Mapping[str, Tensor], Described], Layout]] = {
    "Int8Tensor": integers.int8,
    "IntxUnpackedToInt8Tensor": integers.intx,
    "Int4Tensor": integers.int4,
    "Float8Tensor": floats.float8,
    "MXTensor": floats.mx,
    "NVFP4Tensor": floats.nvfp4,
}
INTEGERS = ("qdata", "scale", "zero_point")
NEEDED = {
    "Int8Tensor": ("qdata", "scale"),
    "IntxUnpackedToInt8Tensor": INTEGERS,
    "Int4Tensor": INTEGERS,
    "Int4TilePackedTo4dTensor": ("qdata", "scale_and_zero"),
    "Float8Tensor": ("qdata", "scale"),
    "MXTensor": ("qdata", "scale"),
    "NVFP4Tensor": ("qdata", "scale"),
}
"""Tensors that a kind always has."""
ALSO = {
    "Int8Tensor": ("zero_point", "act_quant_scale", "act_quant_zero_point", "act_pre_scale"),
    "Int4Tensor": ("act_pre_scale",),
    "Int4TilePackedTo4dTensor": ("act_pre_scale",),
    "NVFP4Tensor": ("per_tensor_scale", "act_per_tensor_scale"),
}
"""Those that it may have. Scales of quantized activations are not used: activations keep the
precision that they have for any other model."""
BEFORE = "act_pre_scale"
"""What each column's activation is multiplied with first (SmoothQuant, AWQ)."""


def translate(
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    path: str = "the layer",
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> Layout | None:
    """A matrix (rows, columns), or those of stacked experts below each other; None for one that is
    not quantized. metadata: the `__metadata__` of its files. Raises CheckpointError."""
    parts, name = parts_of(tensors, path)
    if not parts:
        return None
    said = described(name, metadata, path)
    if said is None:
        raise CheckpointError(
            f"{path}: the __metadata__ of its file says that it is not quantized, but it has "
            f"{', '.join(sorted(parts))}"
        )
    known = (*NEEDED[said.kind], *ALSO.get(said.kind, ()))
    below = {part: tensors[parts[part]] for part in known if part in parts}
    for part in (*NEEDED[said.kind], *said.parts):
        if part not in parts:
            raise CheckpointError(
                f"{path}: {part} of its {said.kind} is missing; it has {', '.join(sorted(parts))}"
            )
    if said.kind == "Int4TilePackedTo4dTensor":
        layout = tiles.tiles(below, said, config)
    else:
        layout = READ[said.kind](below, said)
    before = below.get(BEFORE)
    return layout if before is None else _multiplied(layout, before, path)


def parts_of(tensors: Mapping[str, Any], path: str) -> tuple[dict[str, str], str]:
    """The parts of a quantized matrix to the names that they have below the layer, and what the
    matrix is called; no parts: it is a plain one."""
    inside = "weight." if any(name.startswith("weight.") for name in tensors) else ""
    parts = {
        name.removeprefix(inside): name
        for name in tensors
        if name.startswith(inside) and name not in ("", "weight")
    }
    return parts, f"{path}.weight" if inside else path


def _multiplied(layout: Layout, before: Tensor, path: str) -> Dense:
    """Columns times what their activations would be multiplied with, in float32."""
    if before.numel() != layout.shape[1] or not before.is_floating_point():
        raise CheckpointError(
            f"{path}: {BEFORE} is {name_of(before)}; it must be a float for each of "
            f"{layout.shape[1]} columns"
        )
    return Dense(layout.decode() * before.float().reshape(1, -1))
