"""HQQ: 8 to 1 bits, groups along rows (axis 1) or down the matrix (axis 0), in safetensors and in
hqq's own qmodel.pt.

    weight = (code - zero) * scale, both results rounded to the compute type
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .bits import scales, width
from .folder import Make, as_folder, config_of, quantized, written
from .record import Format, Matrix, Source, Tensors, Variant, Write, Written

PACKED = {
    8: (1, 8),
    6: (1, 8),
    5: (1, 8),
    4: (2, 4),
    3: (10, 3),
    2: (4, 2),
    1.58: (4, 2),
    1: (8, 1),
}
"""Codes in a word, and the bits that each takes there."""
NAMES = {8: "8bit_u8", 6: "8bit_u8", 5: "8bit_u8", 4: "4bit_u8", 3: "3bit_32", 2: "2bit_u8",
         1.58: "2bit_u8", 1: "1bit_u8"}  # fmt: skip


def packed(codes: Tensor, bits: float) -> Tensor:
    """(rows, columns) -> words (rows / count, columns): the first part of the rows highest."""
    count, taken = PACKED[bits]
    parts = torch.nn.functional.pad(codes, (0, 0, 0, -len(codes) % count)).unflatten(0, (count, -1))
    shifts = torch.arange(count - 1, -1, -1)[:, None, None] * taken
    return (parts << shifts).sum(0).to(torch.int32 if bits == 3 else torch.uint8)


def make(bits: float, axis: int, group: int, dtype: torch.dtype) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        groups, most = weight.numel() // group, round(2**bits - 1)
        codes = torch.randint(0, most + 1, (group, groups) if axis == 0 else (groups, group))
        shape = (1, groups) if axis == 0 else (groups, 1)
        scale = scales(*shape, bits=max(1, round(bits))).to(dtype)
        zero = (most * (torch.rand(shape) * 0.4 + 0.3)).to(dtype)
        numbers = (codes.to(dtype) - zero) * scale
        exact = (codes.float() - zero.float()) * scale.float()
        parts = {
            "W_q": packed(codes, bits), "scale": scale, "zero": zero,
            "shape": torch.tensor(weight.shape), "nbits": torch.tensor(bits),
            "group_size": torch.tensor(group), "axis": torch.tensor(axis),
            "packing": letters(NAMES[bits]), "compute_dtype": letters(str(dtype)),
            "view_as_float": torch.tensor(False),
        }  # fmt: skip
        if axis == 0 and ".experts." in path:
            exact = numbers.float()  # no kernel has such stacks: they are decoded, and so rounded
        return Matrix(parts, numbers.float().view(weight.shape), exact.view(weight.shape))

    return made


def letters(text: str) -> Tensor:
    return torch.tensor([*text.encode()], dtype=torch.uint8)


def qmodel(make: Make) -> Write:
    """hqq's own file: a module's tensors and settings in a dict."""

    def write(made: Source, folder: Path) -> Written:
        layers, plain = quantized(made, make)
        modules: dict[str, dict[str, Any]] = {
            path: {**_said(matrix.parts), "bias": None} for path, matrix in layers.items()
        }
        for name, tensor in plain.items():
            path, _, last = name.rpartition(".")
            modules.setdefault(path, {})[last] = tensor
        (folder / "config.json").write_text(json.dumps(config_of(made)), "utf-8")
        torch.save(modules, folder / "qmodel.pt")
        return written(folder, layers, plain)

    return write


def _said(parts: Tensors) -> dict[str, Any]:
    """Settings as they are, not as tensors."""
    named = {"packing", "compute_dtype"}
    said: dict[str, Any] = {
        name: part.item() for name, part in parts.items() if not part.ndim and name not in named
    }
    said |= {name: parts[name] for name in ("W_q", "scale", "zero")}
    return said | {
        "shape": torch.Size(parts["shape"].tolist()),
        "packing": bytes(parts["packing"].tolist()).decode(),
        "compute_dtype": parts["scale"].dtype,
        "nbits": next(bits for bits in PACKED if abs(bits - said["nbits"]) < 1e-3),
    }


def variants() -> list[Variant]:
    made = []
    said = {"quant_method": "hqq", "quant_config": {}}
    for bits, axis, group in product(PACKED, (1, 0), (16, 64, 128)):
        for dtype in ("float16", "bfloat16") if group == 64 else ("float32",):
            kind = make(bits, axis, group, getattr(torch, dtype))
            for file, write in (("safetensors", as_folder(kind, said)), ("qmodel", qmodel(kind))):
                eager = "/row-groups" if axis == 0 else ""
                made.append(
                    Variant(
                        f"{width(bits)}, axis {axis}", f"g{group} {dtype} {file}", write, (), eager
                    )
                )
    return made


FORMAT = Format(
    about="`quant_method: hqq` in safetensors, and `qmodel.pt`. Groups of 16, 64 and 128; computed "
    "in float16, bfloat16 and float32. On the CPU, experts with axis 0 are decoded for each "
    "product, and the step runs operation by operation.",
    held="(code - zero) * scale of the codes that were packed, both results rounded to the compute "
    "type",
    variants=tuple(variants()),
)
