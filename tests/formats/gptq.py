"""GPTQ: 2 to 8 bits, versions 1 and 2 and planes.

weight = scale * (code - zero), rounded to the model's type as the scale is
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from .bits import any_codes, ordered, scales, stream, words
from .folder import Make, as_folder, usual, whole
from .models import MIXTURES
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
            group_of = ordered(path, group_of)
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
    made += [*small_words(), with_head(), by_layer(), own_orders()]
    for bits in range(2, 9):
        made += [variant("gptq_p", bits, 64), variant("gptq_p", bits, 32, act_order=True)]
    return made


PLAIN: dict[str, Any] = {
    "quant_method": "gptq", "checkpoint_format": "gptq", "bits": 4, "group_size": 32,
    "desc_act": True, "sym": False,
}  # fmt: skip


def usual_make(bits: int) -> Make:
    return make("gptq", bits, 32, symmetric=False, act_order=True, dtype=torch.float16)


def small_words() -> list[Variant]:
    """Words of other sizes (`pack_dtype`), which are the same bytes."""

    def of(dtype: torch.dtype) -> Make:
        def made(path: str, weight: Tensor) -> Matrix:
            matrix = usual_make(4)(path, weight)
            qweight, qzeros = (matrix.parts[name] for name in ("qweight", "qzeros"))
            viewed = {"qweight": qweight.T.contiguous().view(dtype).T, "qzeros": qzeros.view(dtype)}
            return Matrix({**matrix.parts, **viewed}, matrix.numbers, matrix.exact)

        return made

    return [
        Variant(
            "4 bits, words of 8, 16 and 64 bits",
            name,
            as_folder(of(getattr(torch, name)), {**PLAIN, "pack_dtype": name}, dtype="float16"),
        )
        for name in ("int8", "int16", "int64")
    ]


def with_head() -> Variant:
    def takes(name: str, tensor: Tensor) -> bool:
        return whole(name, tensor) and "embed_tokens" not in name

    said = {**PLAIN, "lm_head": True}
    write = as_folder(usual_make(4), said, takes=takes, dtype="float16")
    # a head that is the embedding has no layer of its own
    return Variant("heads too", "4 bits", write, ("Llama", "Phi-3", "Mixtral", "Qwen3-MoE"))


def own_orders() -> Variant:
    """Gate and up of an expert in different orders, though they have the same inputs."""

    def make(path: str, weight: Tensor) -> Matrix:
        return usual_make(4)(
            path.replace("w3", "down_proj").replace("up_proj", "down_proj"), weight
        )

    eager = "experts whose matrices want their rows in different orders"
    write = as_folder(make, PLAIN, dtype="float16")
    return Variant("experts' gate and up in different orders", "4 bits", write, MIXTURES, eager)


def by_layer() -> Variant:
    """Bits of single layers, and a layer that is left out."""

    def make(path: str, weight: Tensor) -> Matrix:
        return usual_make(8 if "self_attn" in path else 4)(path, weight)

    def takes(name: str, tensor: Tensor) -> bool:
        return usual(name, tensor) and "o_proj" not in name

    said = {**PLAIN, "dynamic": {"-:.*o_proj": {}, "+:.*self_attn.*": {"bits": 8}}}
    return Variant("by layer", "dynamic", as_folder(make, said, takes=takes, dtype="float16"))


FORMAT = Format(
    about="`quant_method: gptq`. Groups of 32, 64 and 128 columns and one group of all; symmetric "
    "or a zero for each group; act-order or not; scales in float16, the model in float16 or "
    "bfloat16; `pack_dtype`, `lm_head` and `dynamic`.",
    held="scale * (code - zero) of the codes that were packed, rounded to the model's type",
    variants=tuple(variants()),
)
