"""EXL3: a trellis of 1 to 8 bits between two Hadamard matrices, three codebooks.

weight transposed = diag(suh) H tiles H diag(svh), rounded to float16
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .bits import width
from .folder import Make, as_folder, whole
from .record import Format, Matrix, Source, Tensors, Variant, Write, Written

MULTIPLIERS = {"mcg": 0xCBAC1FED, "mul1": 0x83DCD12D}


@cache
def numbers_of(codebook: str) -> NDArray[np.float64]:
    """(65536), by state."""
    state = np.arange(65536, dtype=np.uint64)
    if codebook == "mul1":
        x = (state * np.uint64(MULTIPLIERS["mul1"]) % np.uint64(1 << 32)).astype(np.uint32)
        total = 0x6400 + x.view(np.uint8).reshape(-1, 4).astype(np.uint16).sum(1, dtype=np.uint16)
        factor, more = np.array([0x1EEE, 0xC931], np.uint16).view(np.float16)
        return total.view(np.float16).astype(np.float64) * float(factor) + float(more)
    factor, more = (MULTIPLIERS["mcg"], 0) if codebook == "mcg" else (89226354, 64248484)
    x = ((state * np.uint64(factor) + np.uint64(more)) % np.uint64(1 << 32)).astype(np.uint32)
    x = (x & np.uint32(0x8FFF8FFF)) ^ np.uint32(0x3B603B60)
    low, high = (part.astype(np.uint16).view(np.float16) for part in (x & 0xFFFF, x >> 16))
    return low.astype(np.float64) + high.astype(np.float64)


def tiles(trellis: Tensor, codebook: str) -> NDArray[np.float64]:
    """(down, across, 16 * bits) words -> (16 * down, 16 * across) numbers."""
    down, across, count = trellis.shape
    raw = trellis.numpy().view(np.uint16).reshape(down, across, -1, 2)[..., ::-1]
    stream = (raw.reshape(down, across, -1, 1) >> np.arange(15, -1, -1)) & 1
    ring, bits = stream.reshape(down, across, -1), count // 16
    ends = (np.arange(256)[:, None] + 1) * bits - 16 + np.arange(16)
    state = (ring[..., ends % (256 * bits)].astype(np.int64) << np.arange(15, -1, -1)).sum(-1)
    t, j = np.divmod(np.arange(256), 8)
    rows = 2 * (t % 4) + np.array((0, 1, 8, 9) * 2)[j]
    made = np.empty((down, across, 16, 16))
    made[:, :, rows, t // 4 + np.where(j > 3, 8, 0)] = numbers_of(codebook)[state]
    return made.swapaxes(1, 2).reshape(16 * down, 16 * across)


@cache
def hadamard() -> NDArray[np.float64]:
    made = np.ones((1, 1))
    while len(made) < 128:
        made = np.block([[made, made], [made, -made]])
    return made / 128**0.5


def turned(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each 128 rows."""
    blocks = matrix.reshape(-1, 128, matrix.shape[1])
    found: NDArray[np.float64] = (hadamard() @ blocks).reshape(matrix.shape)
    return found


def make(bits: int, codebook: str, *, signs: bool) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        words = torch.randint(-(1 << 15), 1 << 15, (columns // 16, rows // 16, 16 * bits))
        parts: Tensors = {"trellis": words.to(torch.int16)}
        if signs:
            negative = [torch.randint(0, 2, (size,)) for size in (columns, rows)]
            for name, bit in zip(("su", "sv"), negative, strict=True):
                packed = (bit.view(-1, 16) << torch.arange(16)).sum(-1)
                parts[name] = torch.where(packed > 32767, packed - 65536, packed).to(torch.int16)
            left, right = (1.0 - 2.0 * bit.double() for bit in negative)
        else:
            parts["suh"] = (torch.randn(columns) / 10).half()
            parts["svh"] = torch.randn(rows).half()
            left, right = parts["suh"].double(), parts["svh"].double()
        if codebook != "3inst":
            number = torch.tensor(MULTIPLIERS[codebook], dtype=torch.uint32)
            parts[codebook] = number.view(torch.int32)
        inner = left.numpy()[:, None] * turned(tiles(parts["trellis"], codebook))
        exact = torch.from_numpy(turned(inner.T.copy()).T * right.numpy())
        return Matrix(parts, exact.T.half().float(), exact.T.half().float())

    return made


def variants() -> list[Variant]:
    cut = parted(folder(make(4, "mcg", signs=False), quiet=False))
    return [
        Variant(width(bits), f"{codebook} {'signs' if signs else 'scales'}",
                folder(make(bits, codebook, signs=signs), quiet=signs))
        for bits, codebook, signs in product(range(1, 9), ("3inst", "mcg", "mul1"), (False, True))
    ] + [Variant("q, k, v, gate and up apart", "4 bits", cut, ("Phi-3",))]  # fmt: skip


def folder(make: Make, *, quiet: bool) -> Write:
    """quiet: with small norms, for layers whose weights are around 1."""
    said = {"quant_method": "exl3", "bits": 4.5, "head_bits": 6}
    inner = as_folder(make, said, takes=takes)

    def write(made: Source, folder: Path) -> Written:
        tensors = {
            name: data * 0.02 if name.endswith(NORMS) else data
            for name, data in made.tensors.items()
        }
        return inner(replace(made, tensors=tensors), folder)

    return write if quiet else inner


def parted(write: Write) -> Write:
    """With Phi-3's fused matrices cut up, as ExLlamaV3 reads them before it quantizes."""

    def cut(made: Source, folder: Path) -> Written:
        heads, few = made.config.num_attention_heads, made.config.num_key_value_heads
        each = made.config.hidden_size // heads
        sizes = {
            "qkv_proj": {"q_proj": heads * each, "k_proj": few * each, "v_proj": few * each},
            "gate_up_proj": dict.fromkeys(("gate_proj", "up_proj"), made.config.intermediate_size),
        }
        tensors, names = {}, {}
        for name, data in made.tensors.items():
            last = name.split(".")[-2]
            if last in sizes:
                names[name] = [name.replace(last, part) for part in sizes[last]]
                pieces = data.split([*sizes[last].values()])
                tensors |= dict(zip(names[name], pieces, strict=True))
            else:
                tensors[name] = data
        found = write(replace(made, tensors=tensors), folder)
        whole = {name: torch.cat([found.numbers[part] for part in parts])
                 for name, parts in names.items()}  # fmt: skip
        numbers = {**found.numbers, **whole}
        for parts in names.values():
            for part in parts:
                del numbers[part]
        return Written(found.path, numbers, numbers)

    return cut


NORMS = ("layernorm.weight",)


def takes(name: str, tensor: Tensor) -> bool:
    return whole(name, tensor) and "embed_tokens" not in name


FORMAT = Format(
    about="`quant_method: exl3`. Codebooks 3inst, mcg and mul1; scales, and signs as older files "
    "have them; heads too. Layers are decoded to float16 as they are loaded. "
    "With signs alone a layer's weights are around 1, so norms are small there.",
    held="the trellis decoded bit by bit in numpy, between two Hadamard matrices in float64, "
    "rounded to float16, where the last bit may fall to the other side: 1e-3 is allowed",
    variants=tuple(variants()),
    sizes={"vocab_size": 128, "num_key_value_heads": 4},
    tolerance=1e-3,
)
