"""AWQ: gemm of 2 to 8 bits, gemv, gemv_fast and llm-awq of 4.

weight = scale * (code - zero), rounded to the scales' type;  code * scale + zero in the last two
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from .bits import any_codes, scales, words
from .folder import Make, as_folder
from .record import Format, Matrix, Variant

ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def gemm_words(codes: Tensor, bits: int) -> Tensor:
    """(n, rows) -> (n, rows * bits / 32) int32."""
    if bits == 4:
        codes = codes.unflatten(1, (-1, 8))[..., ORDER].flatten(1)
    return words(codes, bits)


def interleaved(codes: Tensor) -> Tensor:
    """As llm-awq packs them: 32 columns in pairs, 8 with the even ones first, 4 rows in 64."""
    rows, columns = codes.shape
    packed = codes.reshape(rows, columns // 32, 4, 4, 2).permute(0, 1, 3, 2, 4)
    packed = packed.reshape(rows, columns // 32, 4, 4, 2).permute(0, 1, 2, 4, 3)
    packed = packed.reshape(rows // 4, 4, columns // 64, 64).permute(0, 2, 1, 3)
    packed = packed.reshape(rows // 4, columns // 64, 64, 4)
    return (packed << torch.arange(0, 16, 4)).sum(-1).view(rows // 4, columns).to(torch.int16)


def make(form: str, bits: int, group: int, *, symmetric: bool, dtype: torch.dtype) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        size = columns if group == -1 else group
        groups, group_of = columns // size, torch.arange(columns) // size
        codes = any_codes(weight.shape, bits)
        zeros = any_codes((rows, groups), bits)
        if symmetric:
            zeros = torch.full_like(zeros, 1 << (bits - 1))
        scale = scales(rows, groups, bits=bits).to(dtype)
        each = scale.float()[:, group_of]
        exact = each * (codes - zeros[:, group_of])
        if form == "gemm":
            parts = {
                "qweight": gemm_words(codes.T, bits), "qzeros": gemm_words(zeros.T, bits),
                "scales": scale.T.contiguous(),
            }  # fmt: skip
            return Matrix(parts, exact.to(dtype).float(), exact)
        if form == "gemv":
            filled = torch.nn.functional.pad(zeros, (0, -groups % 8))
            parts = {
                "qweight": words(codes, 4), "qzeros": words(filled, 4),
                "scales": torch.nn.functional.pad(scale, (0, -groups % 8)),
            }  # fmt: skip
            return Matrix(parts, exact.to(dtype).float(), exact)
        minus = (-zeros * scale).to(dtype)
        name = "scaled_zeros" if form == "llm-awq" else "qzeros"
        parts = {
            "qweight": interleaved(codes), "scales": scale.T.contiguous(),
            name: minus.T.contiguous(),
        }  # fmt: skip
        return Matrix(parts, codes * each + minus.float()[:, group_of])

    return made


def variant(
    form: str, bits: int, group: int, *, symmetric: bool = False, dtype: str = "float16"
) -> Variant:
    settings = {
        "quant_method": "awq", "version": form, "bits": bits, "group_size": group,
        "zero_point": not symmetric,
    }  # fmt: skip
    if form == "llm-awq":
        settings = {"quant_method": "awq", "backend": form, "w_bit": bits, "q_group_size": group}
    words = ["symmetric"] * symmetric + [dtype] * (dtype != "float16")
    return Variant(
        f"{bits} bits, {form}",
        " ".join(["all" if group == -1 else f"g{group}", *words]),
        as_folder(
            make(form, bits, group, symmetric=symmetric, dtype=getattr(torch, dtype)),
            settings, dtype=dtype,
        ),
    )  # fmt: skip


def variants() -> list[Variant]:
    made = [
        variant("gemm", bits, group, symmetric=symmetric)
        for bits, group, symmetric in product(range(2, 9), (32, 128, -1), (False, True))
    ]
    made += [variant("gemm", bits, 64, dtype="bfloat16") for bits in (4, 8)]
    others = ("gemv", "gemv_fast", "llm-awq")
    return made + [variant(form, 4, group) for form, group in product(others, (32, 64, 128))]


FORMAT = Format(
    about="`quant_method: awq`. Groups of 32, 64 and 128 columns and one group of all; a zero for "
    "each group, or all alike; scales in float16 or bfloat16.",
    held="scale * (code - zero) of the codes that were packed, rounded to the scales' type; "
    "code * scale + zero with the zeros that gemv_fast and llm-awq store",
    variants=tuple(variants()),
)
