"""UQFF: mistral.rs's container, with GGML's blocks, HQQ, FP8, AFQ, F8Q8 and MXFP4."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from torch import Tensor
from tramontane_quant_uqff.encode import KINDS, encode
from tramontane_quant_uqff.plain import PLAIN
from tramontane_quant_uqff.writer import write as write_uqff

from tests.parity import gguf_file

from .folder import Make, by_expert, config_of, quantized, whole, written
from .gguf import SIZES
from .models import FAMILIES, MIXTURES
from .record import Format, Matrix, Source, Tensors, Variant, Write, Written

GGML, DENSE = 0, 1
OWN = {"Q8_1": (32, 36), "Q8_K": (256, 292)}
"""Weights and bytes of a block of types that the `gguf` package does not decode."""
TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", *OWN, "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
ENCODED = tuple(kind for kind in KINDS if kind != "q8_0")


def of_kind(kind: str) -> Make:
    """What this repository's writer makes of a matrix."""

    def made(path: str, weight: Tensor) -> Matrix:
        parts = encode(weight, kind)
        return Matrix(parts, PLAIN[int(parts["format"])](parts[""], parts))

    return made


def of_blocks(name: str) -> Make:
    """Random blocks of a type of GGML."""
    kind = Type[name]

    def made(path: str, weight: Tensor) -> Matrix:
        if name in OWN:
            raw, numbers = signed(weight, *OWN[name])
        else:
            random = np.random.default_rng(int(torch.randint(1 << 30, ())))
            blocks = gguf_file.random_blocks(tuple(weight.shape), kind, random)
            numbers = torch.from_numpy(np.array(quants.dequantize(blocks, kind)))
            raw = torch.from_numpy(np.ascontiguousarray(blocks).view(np.uint8).reshape(-1))
        parts = {
            "": raw, "format": torch.tensor(GGML, dtype=torch.uint8),
            "dtype": torch.tensor(int(kind), dtype=torch.uint32),
            "shape": torch.tensor(weight.shape, dtype=torch.uint32),
        }  # fmt: skip
        return Matrix(parts, numbers.view(weight.shape))

    return made


def plain(path: str, weight: Tensor) -> Matrix:
    half = weight.half()
    return Matrix({"": half, "format": torch.tensor(DENSE, dtype=torch.uint8)}, half.float())


def signed(weight: Tensor, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Blocks of int8 behind a scale: float16 and a sum, or float32 and sums behind the codes."""
    codes = torch.randint(-128, 128, (weight.numel() // count, count), dtype=torch.int8)
    scale = (torch.rand(len(codes), 1) + 0.5) * 1e-3
    raw = torch.zeros(len(codes), size, dtype=torch.uint8)
    if count == 32:
        scale = scale.half()
        raw[:, :2], raw[:, 4:] = scale.view(torch.uint8), codes.view(torch.uint8)
    else:
        raw[:, :4], raw[:, 4:260] = scale.view(torch.uint8), codes.view(torch.uint8)
    return raw.flatten(), codes * scale.float()


def stacked(experts: list[Tensors]) -> Tensors:
    """Matrices of experts as one: blocks behind each other, or a dimension more."""
    first = experts[0]
    if int(first["format"]) == GGML:
        shape = torch.tensor([len(experts), *first["shape"].tolist()], dtype=torch.uint32)
        return {**first, "": torch.cat([each[""] for each in experts]), "shape": shape}
    return {
        part: torch.stack([each[part] for each in experts]) if data.ndim else data
        for part, data in first.items()
    }


def container(make: Make, limit: int) -> Write:
    """limit: bytes of a part."""

    def write(made: Source, folder: Path) -> Written:
        layers, rest_of = quantized(made, make, whole)
        experts, rest = by_expert({path: matrix.parts for path, matrix in layers.items()})
        rest |= {
            f"{mixture}.experts.{name}": stacked(each) for (mixture, name), each in experts.items()
        }
        source = folder / "source"
        source.mkdir()
        (source / "config.json").write_text(json.dumps(config_of(made)), "utf-8")
        target = folder / "model"
        named = ((f"{path}.weight", parts) for path, parts in rest.items())
        write_uqff(target, named, rest_of, source, limit=limit)
        return written(target, layers, rest_of)

    return write


def variants() -> list[Variant]:
    dense = tuple(family for family in FAMILIES if family not in MIXTURES)
    made = [Variant("dense", "float16", container(plain, 1 << 30))]
    for kind in ENCODED:
        afq = kind.startswith("afq")
        write = container(of_kind(kind), 100_000 if afq else 1 << 30)
        made.append(Variant(kind, "parts" if afq else "one", write, () if afq else dense))
    return made + [
        Variant(f"GGML {name}", "one", container(of_blocks(name), 1 << 30)) for name in TYPES
    ]


FORMAT = Format(
    about="UQFF 1.2, `.uqff` beside `residual.safetensors`, one part or several; embeddings and "
    "heads too; experts stacked, which mistral.rs makes with GGML's types and AFQ only.",
    held="the distribution's decoders number by number; what the `gguf` package decodes",
    variants=tuple(variants()),
    sizes=SIZES,
)
