"""Floats of 8 bits as Hugging Face has them, and experts of 4 bits beside them.

weight = number * scale, of a block, a row or the matrix
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .bits import E2M1, any_codes, eight, pairs, spread
from .folder import Make, as_folder, experts_only, fused
from .models import MIXTURES
from .record import Format, Matrix, Variant

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
Block = tuple[int, int]


def make(
    kind: torch.dtype, block: Block | None, scales: torch.dtype, name: str = "weight_scale_inv"
) -> Make:
    """block: None for a scale of the whole matrix."""

    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        high, wide = block or weight.shape
        shape = (-(-rows // high), -(-columns // wide))
        size = 0.001 * (torch.rand(shape) + 0.5)
        if scales == torch.uint8:
            power = torch.randint(-11, -9, shape)
            held, size = (power + 127).to(torch.uint8), torch.ldexp(torch.ones(shape), power)
        else:
            held = size.to(scales)
            size = held.float()
        numbers = eight(weight.shape, kind)
        each = size.repeat_interleave(high, 0)[:rows].repeat_interleave(wide, 1)[:, :columns]
        parts = {"weight": numbers, name: held.reshape(()) if block is None else held}
        return Matrix(parts, numbers.float() * each)

    return made


def by_rows(name: str, *, flat: bool = False) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        scale, numbers = 0.001 * (torch.rand(len(weight), 1) + 0.5), eight(weight.shape)
        parts = {"weight": numbers, name: scale.flatten() if flat else scale}
        return Matrix(parts, numbers.float() * scale)

    return made


def four(path: str, weight: Tensor) -> Matrix:
    """Two floats of 4 bits in a byte, and a power of two for 32."""
    codes = any_codes(weight.shape, 4)
    power = torch.randint(-6, -3, (len(weight), weight.shape[1] // 32))
    scale = torch.ldexp(torch.ones(power.shape), power)
    parts = {"weight": pairs(codes).view(torch.int8), "scale": (power + 127).to(torch.uint8)}
    return Matrix(parts, E2M1[codes] * spread(scale, weight.shape))


def stacked_name(path: str, part: str) -> str:
    return path if part == "weight" else f"{path}_{part.removeprefix('weight_')}"


STACKED = fused(stacked_name)


def said(block: Block | None, method: str = "fp8", **more: Any) -> dict[str, Any]:
    return {"quant_method": method, "weight_block_size": list(block) if block else None, **more}


def variants() -> list[Variant]:
    made = []
    for block in ((128, 128), (48, 80), (16, 48)):
        kinds = [(E4M3, torch.float32), (E4M3, torch.bfloat16), (E4M3, torch.uint8)]
        for kind, scales in [*kinds, (E5M2, torch.float32)]:
            names = [str(each).removeprefix("torch.").removesuffix("fn") for each in (kind, scales)]
            row = f"{names[0].removeprefix('float8_')}, blocks"
            name = f"{block[0]}x{block[1]} {names[1]}"
            write = as_folder(make(kind, block, scales), said(block))
            made.append(Variant(row, name, write))
    for block in ((32, 64), (128, 128)):
        write = as_folder(make(E4M3, block, torch.float32), said(block), arrange=STACKED)
        made.append(Variant("experts stacked", f"{block[0]}x{block[1]}", write, MIXTURES))
    write = as_folder(by_rows("weight_scale_inv"), said(None), arrange=STACKED)
    made.append(Variant("experts stacked", "rows", write, MIXTURES))
    for flat in (False, True):
        write = as_folder(by_rows("weight_scale_inv", flat=flat), said(None))
        made.append(Variant("e4m3, rows", "flat" if flat else "columns", write))
    write = as_folder(by_rows("weight_scale"), said(None, "fbgemm_fp8", activation_scale_ub=1200.0))
    made.append(Variant("fbgemm_fp8", "rows", write))
    static = said(None, activation_scheme="static")
    write = as_folder(with_inputs(make(E4M3, None, torch.float32)), static)
    made.append(Variant("e4m3, matrix", "static", write))
    write = as_folder(make(E4M3, None, torch.bfloat16), said(None))
    made.append(Variant("e4m3, matrix", "bfloat16", write))
    write = as_folder(four, said((128, 128)), takes=experts_only)
    made.append(Variant("experts of 4 bits", "e2m1", write, MIXTURES))
    return made


def with_inputs(make: Make) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        matrix = make(path, weight)
        return Matrix({**matrix.parts, "input_scale": torch.tensor(0.5)}, matrix.numbers)

    return made


FORMAT = Format(
    about="`quant_method: fp8` and `fbgemm_fp8`. Blocks of 128 x 128, 48 x 80 and 16 x 48, cut off "
    "at the edges; scales in float32, bfloat16 and powers of two; scales of inputs, which are not "
    "used.",
    held="the float that torch makes of the byte times its scale",
    variants=tuple(variants()),
)
