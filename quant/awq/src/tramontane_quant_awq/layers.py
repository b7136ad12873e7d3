"""AWQ's layers: codes with a scale and a zero for each group of columns.

weight[o, i] = (code - zero[o, i // group]) * scale[o, i // group], rounded to the scales' dtype.

gemm: qweight (columns, rows * bits / 32), qzeros (groups, rows * bits / 32), scales (groups, rows).
gemv: qweight (rows, columns / 8), qzeros (rows, groups / 8) and scales (rows, groups), padded.
gemv_fast, llm-awq: qweight (rows / 4, columns) int16, scales and qzeros (llm-awq: scaled_zeros)
float16 (groups, rows), padded; zeros are -zero * scale there, so that weight = code * scale + zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, Layout

from .codes import checked, fast_codes, gemm_codes, planes_of
from .settings import FAST, Settings, settings_of


def translate(
    tensors: dict[str, Tensor],
    config: dict[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
    transposed: bool = False,
) -> Layout | None:
    """The (rows, columns) of a layer, dense where the family wants it transposed; None for a plain
    weight. Raises CheckpointError."""
    if "qweight" not in tensors and "weight" in tensors:
        return None
    if transposed:
        layout = translate(tensors, config, path, shape[::-1] if shape else None)
        assert layout is not None
        return Dense(layout.decode(tensors["scales"].dtype).T)
    settings = settings_of(config)
    zeros = "scaled_zeros" if settings.form == "llm-awq" else "qzeros"
    if missing := {"qweight", "scales", zeros} - tensors.keys():
        raise CheckpointError(f"{path}: {', '.join(sorted(missing))} missing")
    if "bias" in tensors and bool(tensors["bias"].any()):
        raise CheckpointError("it has a bias that is not zero, and the model has no place for one")
    scale = tensors["scales"]
    if scale.ndim != 2 or not scale.is_floating_point():
        raise CheckpointError(f"scales are {_said(scale)}, which must be floats in a matrix")
    if settings.form in FAST:
        return _fast(tensors["qweight"], scale, tensors[zeros], zeros, settings, shape)
    if settings.form == "gemv":
        return _gemv(tensors["qweight"], scale, tensors["qzeros"], settings, shape)
    return _gemm(tensors["qweight"], scale, tensors["qzeros"], settings, shape)


def _gemm(
    qweight: Tensor, scale: Tensor, qzeros: Tensor, settings: Settings,
    shape: tuple[int, ...] | None,
) -> Affine:  # fmt: skip
    bits, rows = settings.bits, scale.shape[1]
    columns = qweight.shape[0]
    width = -(-rows * bits // 32)
    group = _group(settings, columns, len(scale))
    _expect("qweight", qweight, (columns, width))
    _expect("qzeros", qzeros, (len(scale), width))
    _fits((rows, columns), shape)
    codes = gemm_codes(checked("qweight", qweight, 4), bits)[:, :rows]
    zeros = gemm_codes(checked("qzeros", qzeros, 4), bits)[:, :rows].T
    return _affine(planes_of(codes, 8 if bits == 7 else bits), group, scale.T, zeros, settings)


def _gemv(
    qweight: Tensor, scale: Tensor, qzeros: Tensor, settings: Settings,
    shape: tuple[int, ...] | None,
) -> Affine:  # fmt: skip
    words = checked("qweight", qweight, 4)
    rows, columns = len(words), words.shape[1] * 8
    groups = columns if settings.group == -1 else settings.group
    groups = -(-columns // groups)
    _fits((rows, columns), shape)
    if len(scale) != rows or scale.shape[1] < groups or scale.shape[1] != 8 * qzeros.shape[-1]:
        raise CheckpointError(
            f"scales are {_said(scale)} and qzeros {_said(qzeros)}; {rows} rows of {groups} groups "
            f"need ({rows}, {groups}) or more, and an eighth of that in words"
        )
    zeros = checked("qzeros", qzeros, 4).contiguous().view(torch.uint8)
    zeros = torch.stack((zeros & 15, zeros >> 4), -1).flatten(1)[:, :groups]
    plane = words.contiguous().view(torch.uint8)  # a word's codes are in the order of a plane
    group = _group(settings, columns, groups)
    return _affine((plane,), group, scale[:, :groups], zeros, settings)


def _fast(
    qweight: Tensor, scale: Tensor, zeros: Tensor, name: str, settings: Settings,
    shape: tuple[int, ...] | None,
) -> Affine:  # fmt: skip
    words = checked("qweight", qweight, 2)
    rows, columns = 4 * len(words), words.shape[1]
    _fits((rows, columns), shape)
    if columns % 64:
        raise CheckpointError(
            f"{columns} columns are no multiple of 64, which {settings.form} needs"
        )
    groups = 1 if settings.group == -1 else -(-columns // settings.group)
    if scale.shape[1] != rows or len(scale) < groups or zeros.shape != scale.shape:
        raise CheckpointError(
            f"scales are {_said(scale)} and {name} {_said(zeros)}; {groups} groups of {rows} rows "
            f"need ({groups}, {rows}) or more"
        )
    if not zeros.is_floating_point():
        raise CheckpointError(f"{name} are {_said(zeros)}, which must be floats")
    planes = planes_of(fast_codes(words).T, 4)
    group = _group(settings, columns, groups)
    return Affine(4, group, planes, scale[:groups].T, minimum=zeros[:groups].T)


def _affine(
    planes: tuple[Tensor, ...], group: int, scale: Tensor, zeros: Tensor, settings: Settings
) -> Affine:
    """One zero for all where the configuration says that they are alike."""
    bits, middle = settings.bits, 1 << (settings.bits - 1)
    alike = settings.symmetric is not False and bool((zeros == middle).all())
    rounded = None if scale.dtype == torch.float32 else scale.dtype
    zero: int | Tensor = middle if alike else zeros
    return Affine(8 if bits == 7 else bits, group, planes, scale, zero, rounded=rounded)


def _group(settings: Settings, columns: int, groups: int) -> int:
    size = columns if settings.group == -1 else settings.group
    if columns % 8 or columns % size or groups != columns // size:
        raise CheckpointError(
            f"group_size {settings.group} does not make the {groups} groups of its scales of "
            f"{columns} columns"
        )
    return size


def _expect(name: str, words: Tensor, shape: tuple[int, int]) -> None:
    if tuple(words.shape) != shape:
        raise CheckpointError(f"{name} is {_said(words)}; its scales need {shape}")


def _fits(found: tuple[int, int], wanted: tuple[int, ...] | None) -> None:
    if wanted is not None and found != tuple(wanted):
        raise CheckpointError(f"it is {found}, the model wants {tuple(wanted)}")


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
