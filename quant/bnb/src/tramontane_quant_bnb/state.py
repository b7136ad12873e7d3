"""What lies beside 4-bit codes: JSON, the table, and the parts of double quantization."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

from .tables import table_of

STATE = "weight.quant_state.bitsandbytes__"
TYPES = ("nf4", "fp4")
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
SLIP = 1e-3
"""How far a file's table may be from the library's, which computes with its own."""


@dataclass(frozen=True)
class Nested:
    """Of scales that are bytes. table: (256) float32."""

    table: Tensor
    absmax: Tensor
    blocksize: int
    offset: float


@dataclass(frozen=True)
class State:
    """Of one layer. shape: (rows, columns)."""

    quant_type: str
    blocksize: int
    dtype: torch.dtype
    shape: tuple[int, int]
    nested: Nested | None


def state_of(tensors: Mapping[str, Tensor], path: str) -> State:
    """The state of a layer's codes. Raises CheckpointError."""
    names = [name for name in tensors if name.startswith(STATE)]
    if len(names) != 1:
        raise CheckpointError(f"{path}: {STATE}nf4 or {STATE}fp4 missing, or both there")
    if missing := {"weight.absmax", "weight.quant_map"} - tensors.keys():
        raise CheckpointError(f"{path}: {', '.join(sorted(missing))} missing")
    said = _json(tensors[names[0]], names[0])
    kind, dtype, shape = said.get("quant_type"), said.get("dtype"), said.get("shape")
    if kind not in TYPES or names[0] != f"{STATE}{kind}":
        raise CheckpointError(f"{names[0]} says quant_type {kind!r}, which must be nf4 or fp4")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise CheckpointError(f"{names[0]}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    if not (isinstance(shape, list) and len(shape) == 2 and all(map(_positive, shape))):
        raise CheckpointError(
            f"{names[0]}: shape {one_line(repr(shape), 60)} is not that of a matrix"
        )
    _check_table(tensors["weight.quant_map"], kind)
    blocksize = _size(said, "blocksize", names[0])
    nested = _nested(tensors, said, names[0], path)
    return State(kind, blocksize, DTYPES[dtype], (shape[0], shape[1]), nested)


def _nested(
    tensors: Mapping[str, Tensor], said: Mapping[str, Any], name: str, path: str
) -> Nested | None:
    parts = {"weight.nested_absmax", "weight.nested_quant_map"}
    if "nested_blocksize" not in said and not parts & tensors.keys():
        return None
    if missing := parts - tensors.keys():
        raise CheckpointError(f"{path}: {', '.join(sorted(missing))} missing")
    offset = said.get("nested_offset")
    if not isinstance(offset, int | float) or not math.isfinite(offset):
        raise CheckpointError(f"{name}: nested_offset {offset!r} is not a number")
    table = tensors["weight.nested_quant_map"].float().flatten()
    if len(table) != 256 or not table.isfinite().all():
        raise CheckpointError("weight.nested_quant_map must have 256 numbers")
    blocksize = _size(said, "nested_blocksize", name)
    return Nested(table, tensors["weight.nested_absmax"], blocksize, float(offset))


def _check_table(found: Tensor, kind: str) -> None:
    table = table_of(kind)
    if found.numel() != 16 or not bool(((found.float().flatten() - table).abs() < SLIP).all()):
        raise CheckpointError(
            f"weight.quant_map is not {kind}'s table of 16 numbers: quantize the model again"
        )


def _json(letters: Tensor, name: str) -> dict[str, Any]:
    try:
        said = json.loads(bytes(letters.flatten().to(torch.uint8).tolist()))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise CheckpointError(f"{name} should hold a JSON object")
    return said


def _size(said: Mapping[str, Any], key: str, name: str) -> int:
    value = said.get(key)
    if not _positive(value):
        raise CheckpointError(f"{name}: {key} {value!r} must be a positive number")
    assert isinstance(value, int)
    return value


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
