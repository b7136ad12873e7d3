"""GPTQ's layers: codes down the columns, a scale and a zero for each group of columns.

weight[o, i] = scales[g, o] * (code[i, o] - zero[g, o]), g = g_idx[i], where the format's library
rounds scales and products to the model's dtype.

qweight: (columns * bits / 32, rows) words; qzeros: (groups, rows * bits / 32) words, the zeros
minus one in version 1 ("gptq"), as they are in "gptq_v2" and "gptq_p"; scales: (groups, rows);
g_idx: (columns), each column's group; without it i // group_size. `words` says how codes lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, Layout, Permuted

from .groups import Grouping, grouping_of
from .settings import Settings, dtype_of, settings_of
from .words import codes_of, planes_of, plus_one, whole_words


def translate(
    tensors: dict[str, Tensor],
    config: dict[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
    transposed: bool = False,
    model: Mapping[str, Any] | None = None,
) -> Layout | None:
    """The (rows, columns) of a layer; dense where its groups are too odd or the family wants it
    transposed; None for a plain weight. Raises CheckpointError."""
    if "qweight" not in tensors and "weight" in tensors:
        return None
    if missing := {"qweight", "qzeros", "scales"} - tensors.keys():
        raise CheckpointError(f"{path}: {', '.join(sorted(missing))} missing")
    _no_bias(tensors)
    settings = settings_of(config, path)
    words = whole_words("qweight", tensors["qweight"])
    wanted = (shape[::-1] if transposed else shape) if shape else None
    columns = _columns(words, settings, tensors, wanted)
    scale = tensors["scales"]
    if scale.ndim != 2 or not scale.is_floating_point() or scale.shape[1] != words.shape[1]:
        raise CheckpointError(
            f"scales are {_said(scale)}; {words.shape[1]} rows need (groups, {words.shape[1]})"
        )
    dtype = getattr(torch, dtype_of(model, str(scale.dtype)))
    scale = scale.T.to(dtype)
    if not scale.isfinite().all():
        bad = int((~scale.isfinite()).sum())
        raise CheckpointError(f"{bad} of its {scale.numel()} scales are infinite or not numbers")
    group = _groups(tensors, settings, columns, scale.shape[1])
    zero = _zeros(tensors["qzeros"], settings, scale)
    layout = _layout(words, settings, columns, scale, zero, group, dtype)
    if transposed:
        return Dense(layout.decode(dtype).T)
    return layout


def _layout(
    words: Tensor, settings: Settings, columns: int, scale: Tensor, zero: int | Tensor,
    group: Tensor, dtype: torch.dtype,
) -> Layout:  # fmt: skip
    bits, grouping = settings.bits, grouping_of(group)
    if grouping is None or columns % 8:
        codes = codes_of(words, bits, planar=settings.planar)[:columns]
        return Dense(_dense(codes, scale, zero, group, dtype))
    held = 8 if bits == 7 else bits
    where = grouping.group
    if not torch.equal(where, torch.arange(scale.shape[1])):
        scale = scale.index_select(1, where)
        zero = zero.index_select(1, where) if isinstance(zero, Tensor) else zero
    inner = Affine(
        held, grouping.size, _planes(words, settings, columns, grouping, held), scale, zero,
        rounded=None if dtype == torch.float32 else dtype,
    )  # fmt: skip
    if grouping.order is None:
        return inner
    return Permuted(inner, grouping.order.to(torch.int32)[None])


def _planes(
    words: Tensor, settings: Settings, columns: int, grouping: Grouping, held: int
) -> tuple[Tensor, ...]:
    bits = settings.bits
    if bits in (2, 4, 8) and grouping.order is None:  # a stream of these is a plane
        return (words.T.contiguous().view(torch.uint8)[:, : columns * bits // 8],)
    codes = codes_of(words, bits, planar=settings.planar)[:columns]
    if grouping.order is not None:
        codes = codes.index_select(0, grouping.order)
    return planes_of(codes, held)


def _dense(
    codes: Tensor, scale: Tensor, zero: int | Tensor, group: Tensor, dtype: torch.dtype
) -> Tensor:
    """Codes (columns, rows) -> (rows, columns)."""
    apart = codes.T.float()
    apart -= zero.index_select(1, group).float() if isinstance(zero, Tensor) else zero
    return (scale.index_select(1, group).float() * apart).to(dtype)


def _columns(
    words: Tensor, settings: Settings, tensors: Mapping[str, Tensor], shape: tuple[int, ...] | None
) -> int:
    """How many columns the matrix has, of those for which there are codes."""
    bits, held = settings.bits, words.shape[0] * 32 // settings.bits
    if settings.planar and words.shape[0] % bits:
        raise CheckpointError(
            f"qweight has {words.shape[0]} rows of words; {bits} bits need a multiple of {bits}"
        )
    g_idx = tensors.get("g_idx")
    columns = shape[1] if shape is not None else held if g_idx is None else len(g_idx)
    if not columns <= held < columns + max(32, settings.group):
        raise CheckpointError(
            f"qweight has codes of {bits} bits for {held} columns, the matrix has {columns}"
        )
    if shape is not None and words.shape[1] != shape[0]:
        raise CheckpointError(f"qweight has {words.shape[1]} rows, the model wants {shape[0]}")
    return columns


def _groups(tensors: Mapping[str, Tensor], settings: Settings, columns: int, groups: int) -> Tensor:
    """The group of each column, (columns) int64."""
    size = columns if settings.group == -1 else settings.group
    if groups != -(-columns // size):
        raise CheckpointError(
            f"group_size {settings.group} makes {-(-columns // size)} groups of {columns} columns,"
            f" and there are scales for {groups}"
        )
    if (g_idx := tensors.get("g_idx")) is None:
        if settings.act_order:
            raise CheckpointError("g_idx missing, which desc_act needs")
        return torch.arange(columns) // size
    if g_idx.is_floating_point() or g_idx.ndim != 1 or len(g_idx) < columns:
        raise CheckpointError(f"g_idx is {_said(g_idx)}; it must name {columns} columns' groups")
    found = g_idx[:columns].long()
    if not 0 <= int(found.min()) <= int(found.max()) < groups:
        wrong = int(found.min()) if int(found.min()) < 0 else int(found.max())
        raise CheckpointError(f"g_idx names group {wrong}; there are groups 0 to {groups - 1}")
    return found


def _zeros(qzeros: Tensor, settings: Settings, scale: Tensor) -> int | Tensor:
    """One for all where they are the middle of the codes, else (rows, groups) uint8."""
    (rows, groups), bits = scale.shape, settings.bits
    size = qzeros.dtype.itemsize * 8
    width = -(-rows // 32) * bits if settings.planar else -(-rows * bits // size)
    least = rows * bits // size if not settings.planar else width
    if (
        qzeros.ndim != 2
        or qzeros.shape[0] != groups
        or not least <= qzeros.shape[1] <= width + bits
    ):
        raise CheckpointError(
            f"qzeros are {_said(qzeros)}; {groups} groups of {rows} rows with {bits} bits need "
            f"({groups}, {width})"
        )
    if settings.form == "gptq" and bits in (2, 4, 8):
        qzeros = plus_one(qzeros, bits)
    zero = codes_of(whole_words("qzeros", qzeros.T), bits, planar=settings.planar)[:rows]
    if len(zero) < rows:
        raise CheckpointError(f"qzeros has zeros for {len(zero)} rows of {rows}")
    if settings.form == "gptq" and bits not in (2, 4, 8):
        zero = zero + 1 & (1 << bits) - 1
    middle = 1 << (bits - 1)
    if settings.symmetric is not False and bool((zero == middle).all()):
        return middle
    return zero


def _no_bias(tensors: Mapping[str, Tensor]) -> None:
    """Some tools write a bias of zeros for layers that have none."""
    if "bias" in tensors and bool(tensors["bias"].any()):
        raise CheckpointError("it has a bias that is not zero, and the model has no place for one")


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
