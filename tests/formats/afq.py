"""MLX's formats, AFQ in mistral.rs: affine codes of 1 to 8 bits, mxfp4, nvfp4 and mxfp8.

weight = scale * code + bias, each of both rounded to the scales' type
weight = scale * number, for the kinds of floats
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from .bits import E2M1, any_codes, eight, pairs, scales, width, words
from .folder import Make, as_folder, below, by_expert, stack, whole
from .record import Format, Matrix, Tensors, Variant

FLOATS = {"mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32)}


def affine(bits: int, group: int, dtype: torch.dtype, offset: str = "biases") -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        codes = any_codes(weight.shape, bits)
        scale = scales(rows, columns // group, bits=bits).to(dtype)
        scale[:, ::3] *= -1  # MLX makes such
        bias = (-scale.float() * (1 << bits) * (torch.rand(scale.shape) * 0.2 + 0.4)).to(dtype)
        parts = {"weight": words(codes, bits).view(torch.uint32), "scales": scale, offset: bias}
        each, more = (t.repeat_interleave(group, 1) for t in (scale, bias))
        exact = each.float() * codes + more.float()
        if offset == "qbiases":  # transformers computes in float32
            return Matrix(parts, exact)
        twice = (each.float() * codes).to(dtype).float() + more.float()
        return Matrix(parts, twice.to(dtype).float(), exact)

    return made


def floats(kind: str) -> Make:
    bits, group = FLOATS[kind]

    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        shape = (rows, columns // group)
        if bits == 8:
            numbers = eight(weight.shape)
            raw, values = numbers.view(torch.uint8), numbers.float()
        else:
            codes = any_codes(weight.shape, 4)
            raw, values = pairs(codes), E2M1[codes]
        if kind == "nvfp4":
            held = (torch.rand(shape) * 0.04 + 0.02).to(torch.float8_e4m3fn)
            scale, held = held.float(), held.view(torch.uint8)
        else:
            power = torch.randint(-11, -9, shape) if bits == 8 else torch.randint(-6, -3, shape)
            scale, held = torch.ldexp(torch.ones(shape), power), (power + 127).to(torch.uint8)
        parts = {"weight": raw.contiguous().view(torch.uint32), "scales": held}
        return Matrix(parts, values * scale.repeat_interleave(group, 1))

    return made


def switched(layers: dict[str, Tensors]) -> Tensors:
    """Experts stacked, as mlx-lm has them."""
    experts, rest = by_expert(layers)
    stacks = {f"{path}.switch_mlp.{name}": stack(each) for (path, name), each in experts.items()}
    return below({**rest, **stacks})


KINDS: dict[str, tuple[Make, dict[str, Any]]] = {
    "afq3": (affine(3, 64, torch.bfloat16), {"bits": 3, "group_size": 64}),
    "afq8": (affine(8, 64, torch.bfloat16), {"bits": 8, "group_size": 64}),
    **{
        kind: (floats(kind), {"bits": FLOATS[kind][0], "group_size": None, "mode": kind})
        for kind in FLOATS
    },
}


def kind_of(path: str) -> str:
    """Of a layer of a model in which they differ; experts are one layer."""
    names = {"q_proj": "afq3", "qkv_proj": "afq3", "v_proj": "mxfp4", "o_proj": "nvfp4",
             "embed_tokens": "mxfp8", "lm_head": "afq8"}  # fmt: skip
    return names.get(path.rpartition(".")[2], "mxfp4" if ".experts." in path else "afq8")


def mixed() -> Variant:
    def settings(paths: list[str]) -> dict[str, Any]:
        own = {path: KINDS[kind_of(path)][1] for path in paths if ".experts." not in path}
        return {"bits": 4, "group_size": 32, "mode": "mxfp4", **own}

    def make(path: str, weight: Tensor) -> Matrix:
        return KINDS[kind_of(path)][0](path, weight)

    return Variant("mixed", "by layer", folder(make, settings))


def folder(make: Make, settings: Any, takes: Callable[[str, Tensor], bool] = whole) -> Any:
    return as_folder(make, settings, takes=takes, arrange=switched, key="quantization")


def variants() -> list[Variant]:
    made = []
    for bits, group in product((1, 2, 3, 4, 5, 6, 8), (32, 64, 128)):
        for dtype in ("float32", "float16", "bfloat16"):
            said = {"bits": bits, "group_size": group, "mode": "affine"}
            make = affine(bits, group, getattr(torch, dtype))
            made.append(Variant(width(bits), f"g{group} {dtype}", folder(make, said)))
    for kind, (bits, group) in FLOATS.items():
        said = {"bits": bits, "group_size": group, "mode": kind}
        made.append(Variant(kind, f"g{group}", folder(floats(kind), said)))
    for bits, group in product((2, 4, 8), (64, 128)):
        said = {"quant_method": "metal", "bits": bits, "group_size": group}
        make = affine(bits, group, torch.bfloat16, "qbiases")
        dense = ("Llama", "Qwen3", "Phi-3")
        made.append(
            Variant("transformers' metal", f"{bits} bits g{group}", as_folder(make, said), dense)
        )
    return [*made, mixed()]


FORMAT = Format(
    about="Folders of mlx-lm, `quantization` without a method. Groups of 32, 64 and 128 columns; "
    "scales in float32, float16 and bfloat16; embeddings and heads too; experts stacked under "
    "`switch_mlp`. `metal` is transformers' own, which does not take experts.",
    held="scale * code + bias of the codes that were packed, both results rounded to the scales' "
    "type; scale * number for floats",
    variants=tuple(variants()),
)
