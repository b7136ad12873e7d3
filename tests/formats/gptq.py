"""GPTQ: 2 to 8 bits, versions 1 and 2 and planes.

weight = scale * (code - zero), rounded to the model's type as the scale is
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from .bits import any_codes, scales, stream, words
from .folder import Make, as_folder
from .record import Format, Matrix, Variant

FORM = {"gptq": "version 1", "gptq_v2": "version 2", "gptq_p": "planes"}
SPLIT = {3: (2, 1), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1)}
"""Bits of each plane, the lowest first."""


def planar(codes: Tensor, bits: int) -> Tensor:
    """(rows, count) -> words (rows, count * bits / 32) int32: 32 codes in planes."""
    if bits not in SPLIT:
        return words(codes, bits)
    out = []
    for block in codes.split(32, 1):
        for width in SPLIT[bits]:
            out.append(stream(block & (1 << width) - 1, width))
            block = block >> width
    return torch.cat(out, 1).contiguous().view(torch.int32)


def make(
    form: str, bits: int, group: int, *, symmetric: bool, act_order: bool, dtype: torch.dtype
) -> Make:
    packed = planar if form == "gptq_p" or bits in (5, 6, 7) else words

    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        size = columns if group == -1 else group
        groups, group_of = -(-columns // size), torch.arange(columns) // size
        if act_order:
            group_of = group_of[torch.randperm(columns)]
        codes = any_codes(weight.shape, bits)
        # in version 1 a zero of 0 would carry into its neighbour
        zeros = torch.randint(1, 1 << bits, (rows, groups))
        if symmetric:
            zeros = torch.full_like(zeros, 1 << (bits - 1))
        scale = scales(rows, groups, bits=bits).half()
        held = zeros - 1 if form == "gptq" else zeros
        each = scale.to(dtype).float()[:, group_of]
        exact = each * (codes - zeros[:, group_of])
        parts = {
            "qweight": packed(codes, bits).T.contiguous(),
            "qzeros": packed(held.T, bits),
            "scales": scale.T.contiguous(),
            "g_idx": group_of.int(),
        }
        return Matrix(parts, exact.to(dtype).float(), exact)

    return made


def variant(
    form: str, bits: int, group: int, *, symmetric: bool = False, act_order: bool = False,
    dtype: str = "float16",
) -> Variant:  # fmt: skip
    kind = getattr(torch, dtype)
    settings = {
        "quant_method": "gptq", "checkpoint_format": form, "bits": bits, "group_size": group,
        "desc_act": act_order, "sym": symmetric,
    }  # fmt: skip
    words = ["symmetric"] * symmetric + ["act-order"] * act_order + [dtype] * (dtype != "float16")
    return Variant(
        f"{bits} bits, {FORM[form]}",
        " ".join(["all" if group == -1 else f"g{group}", *words]),
        as_folder(
            make(form, bits, group, symmetric=symmetric, act_order=act_order, dtype=kind),
            settings, dtype=dtype,
        ),
    )  # fmt: skip


def variants() -> list[Variant]:
    made = []
    for bits, group in product((2, 3, 4, 8), (32, 128, -1)):
        for symmetric, act_order in product((True, False), (False, True)):
            if group != -1 or not act_order:  # one group has no order
                made.append(variant("gptq", bits, group, symmetric=symmetric, act_order=act_order))
        if group == 32:
            made.append(variant("gptq", bits, group, act_order=True, dtype="bfloat16"))
    for bits in (2, 3, 4, 8):
        made += [variant("gptq_v2", bits, 64), variant("gptq_v2", bits, 64, symmetric=True)]
        made.append(variant("gptq_v2", bits, 32, act_order=True))
    for bits in range(2, 9):
        made += [variant("gptq_p", bits, 64), variant("gptq_p", bits, 32, act_order=True)]
    return made


FORMAT = Format(
    about="`quant_method: gptq`. Groups of 32, 64 and 128 columns and one group of all; symmetric "
    "or a zero for each group; act-order or not; scales in float16, the model in float16 or "
    "bfloat16.",
    held="scale * (code - zero) of the codes that were packed, rounded to the model's type",
    variants=tuple(variants()),
)
