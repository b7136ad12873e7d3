"""compressed-tensors: packed integers of 1 to 8 bits, int8, FP8, NVFP4, MXFP4, MXFP6, MXFP8.

weight = scale * (code - zero);  number * scale;  number * (scale / global scale)
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from .bits import E2M1, any_codes, eight, pairs, scales, spread, stream, width, words
from .bits import ordered as in_order
from .folder import Make, as_folder
from .record import Format, Matrix, Variant

E2M3 = torch.tensor(
    [sign * (f / 8 if e == 0 else (8 + f) / 8 * 2.0 ** (e - 1))
     for sign in (1, -1) for e in range(4) for f in range(8)]
)  # fmt: skip
"""The numbers of floats of 6 bits."""
Shape = tuple[int, int]


def padded_words(codes: Tensor, bits: int) -> Tensor:
    """As versions before 0.18 wrote: as many whole codes in a word as there is room for."""
    each = 32 // bits
    filled = torch.nn.functional.pad(codes, (0, -codes.shape[1] % each)).unflatten(1, (-1, each))
    whole = (filled.long() << torch.arange(each) * bits).sum(-1)
    return torch.where(whole >= 1 << 31, whole - (1 << 32), whole).to(torch.int32)


def size_of(strategy: str, group: int, weight: Tensor) -> Shape:
    rows, columns = weight.shape
    return {"tensor": (1, 1), "channel": (rows, 1)}.get(strategy, (rows, columns // max(1, group)))


def packed(
    bits: int, strategy: str, group: int, *, symmetric: bool, ordered: bool = False,
    padded: bool = False,
) -> Make:  # fmt: skip
    in_words = padded_words if padded else words

    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        shape = size_of(strategy, group, weight)
        group_of = torch.arange(columns) // (columns // shape[1])
        if ordered:
            group_of = in_order(path, group_of)
        codes, zeros = any_codes(weight.shape, bits), any_codes(shape, bits)
        if symmetric:
            zeros = torch.full(shape, 1 << (bits - 1))
        scale = scales(*shape, bits=bits).bfloat16()
        parts = {
            "weight_packed": in_words(codes, bits), "weight_scale": scale,
            "weight_shape": torch.tensor(weight.shape),
        }  # fmt: skip
        if not symmetric and strategy == "tensor":  # whose zero is not packed
            parts["weight_zero_point"] = (zeros - (1 << (bits - 1))).to(torch.int8).reshape(1)
        elif not symmetric:
            parts["weight_zero_point"] = in_words(zeros.T, bits).T
        if strategy == "tensor":
            parts["weight_scale"] = scale.reshape(1)
        if ordered:
            parts["weight_g_idx"] = group_of.int()
        apart = codes - zeros.expand(rows, -1)[:, group_of]
        return Matrix(parts, apart * scale.float().expand(rows, -1)[:, group_of])

    return made


def integers(strategy: str, group: int, *, symmetric: bool) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        shape = size_of(strategy, group, weight)
        codes = torch.randint(-128, 128, weight.shape, dtype=torch.int8)
        scale = scales(*shape, bits=8)
        parts = {"weight": codes, "weight_scale": scale}
        apart = codes.float()
        if not symmetric:
            zero = torch.randint(-40, 40, shape, dtype=torch.int8)
            parts["weight_zero_point"] = zero
            apart = apart - spread(zero.float(), weight.shape)
        if shape == (1, 1):
            parts = {k: v if k == "weight" else v.reshape(1) for k, v in parts.items()}
        return Matrix(parts, apart * spread(scale, weight.shape))

    return made


def floats(strategy: str, group: int = 0, block: Shape | None = None) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        numbers = eight(weight.shape)
        if block is not None:
            high, wide = block
            scale = (torch.rand(-(-rows // high), -(-columns // wide)) + 0.5) * 1e-3
            each = scale.repeat_interleave(high, 0)[:rows]
            each = each.repeat_interleave(wide, 1)[:, :columns]
        else:
            shape = size_of(strategy, group, weight)
            scale = (torch.rand(shape) + 0.5) * 1e-3
            each = spread(scale, weight.shape)
        held = scale.reshape(1) if strategy == "tensor" else scale
        parts = {"weight": numbers, "weight_scale": held, "input_scale": torch.ones(1)}
        return Matrix(parts, numbers.float() * each)

    return made


def microscaled(kind: str) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        rows, columns = weight.shape
        least, most = {"mxfp8": (-11, -9)}.get(kind, (-6, -3))
        power = torch.randint(least, most, (rows, columns // 32))
        each = spread(torch.ldexp(torch.ones(power.shape), power), weight.shape)
        held = (power + 127).to(torch.uint8)
        if kind == "mxfp8":
            numbers = eight(weight.shape)
            return Matrix({"weight": numbers, "weight_scale": held}, numbers.float() * each)
        codes = any_codes(weight.shape, 6 if kind == "mxfp6" else 4)
        raw = stream(codes, 6) if kind == "mxfp6" else pairs(codes)
        table = E2M3 if kind == "mxfp6" else E2M1
        return Matrix({"weight_packed": raw, "weight_scale": held}, table[codes] * each)

    return made


def nvfp4(path: str, weight: Tensor) -> Matrix:
    codes = any_codes(weight.shape, 4)
    scale = (torch.rand(len(weight), weight.shape[1] // 16) * 300 + 50).to(torch.float8_e4m3fn)
    above = torch.rand(1) * 3000 + 3000
    parts = {"weight_packed": pairs(codes), "weight_scale": scale, "weight_global_scale": above}
    return Matrix(parts, E2M1[codes] * spread(scale.float() / above, weight.shape))


def group_of(form: str, targets: list[str], **weights: Any) -> dict[str, Any]:
    return {"targets": targets, "weights": weights, "format": form}


def said(form: str, version: str | None = None, **weights: Any) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors", "format": form, "version": version,
        "config_groups": {"group_0": group_of(form, ["Linear"], **weights)}, "ignore": ["lm_head"],
    }  # fmt: skip


def mixed() -> Variant:
    integer = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
    groups = {
        "group_0": group_of("pack-quantized", ["Linear"], symmetric=False, **integer),
        "group_1": group_of(
            "nvfp4-pack-quantized", ["re:.*o_proj"], num_bits=4, type="float",
            strategy="tensor_group", group_size=16,
        ),
        "group_2": group_of(
            "float-quantized", ["re:.*(down_proj|w2)$"], num_bits=8, type="float",
            strategy="channel",
        ),
    }  # fmt: skip

    def make(path: str, weight: Tensor) -> Matrix:
        if path.endswith("o_proj"):
            return nvfp4(path, weight)
        if path.endswith(("down_proj", "w2")):
            return floats("channel")(path, weight)
        return packed(4, "group", 32, symmetric=False)(path, weight)

    settings = {
        "quant_method": "compressed-tensors", "format": "mixed-precision",
        "config_groups": groups, "ignore": ["lm_head"],
    }  # fmt: skip
    return Variant("mixed-precision", "by layer", as_folder(make, settings))


def variants() -> list[Variant]:
    made = []
    strategies = (("group", 32), ("group", 128), ("channel", 0), ("tensor", 0))
    for bits, (strategy, group), symmetric in product(range(1, 9), strategies, (True, False)):
        weights = {
            "num_bits": bits, "type": "int", "strategy": strategy, "symmetric": symmetric,
            **({"group_size": group} if group else {}),
        }  # fmt: skip
        name = f"{strategy}{group or ''}{'' if symmetric else ' zeros'}"
        row = f"pack-quantized, {width(bits)}"
        plain = packed(bits, strategy, group, symmetric=symmetric)
        made.append(Variant(row, name, as_folder(plain, said("pack-quantized", **weights))))
        if group == 32:
            ordered = packed(bits, strategy, group, symmetric=symmetric, ordered=True)
            write = as_folder(ordered, said("pack-quantized", actorder="group", **weights))
            made.append(Variant(row, f"{name} act-order", write))
        if group == 32 and bits in (3, 5, 6, 7):
            old = packed(bits, strategy, group, symmetric=symmetric, padded=True)
            write = as_folder(old, said("pack-quantized", "0.12.2", **weights))
            made.append(Variant(row, f"{name} padded", write))
    for (strategy, group), symmetric in product(strategies, (True, False)):
        weights = {"num_bits": 8, "type": "int", "strategy": strategy, "symmetric": symmetric}
        weights |= {"group_size": group} if group else {}
        name = f"{strategy}{group or ''}{'' if symmetric else ' zeros'}"
        for form in ("int-quantized", "naive-quantized"):
            write = as_folder(integers(strategy, group, symmetric=symmetric), said(form, **weights))
            made.append(Variant("int-quantized, naive-quantized", f"{form} {name}", write))
    eight_bits = {"num_bits": 8, "type": "float"}
    for strategy, group in strategies:
        more = {"group_size": group} if group else {}
        write = as_folder(
            floats(strategy, group),
            said("float-quantized", strategy=strategy, **eight_bits, **more),
        )
        made.append(Variant("float-quantized", f"{strategy}{group or ''}", write))
    for block in ((128, 128), (48, 80)):
        weights = {**eight_bits, "strategy": "block", "block_structure": list(block)}
        write = as_folder(floats("block", block=block), said("float-quantized", **weights))
        made.append(Variant("float-quantized", f"block {block[0]}x{block[1]}", write))
    for kind, form, bits in (
        ("mxfp4", "mxfp4-pack-quantized", 4), ("mxfp6", "mxfp6-pack-quantized", 6),
        ("mxfp8", "mxfp8-quantized", 8),
    ):  # fmt: skip
        weights = {"num_bits": bits, "type": "float", "strategy": "group", "group_size": 32}
        made.append(Variant(kind, "g32", as_folder(microscaled(kind), said(form, **weights))))
    weights = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
    made.append(Variant("nvfp4", "g16", as_folder(nvfp4, said("nvfp4-pack-quantized", **weights))))
    return [*made, mixed()]


FORMAT = Format(
    about="`quant_method: compressed-tensors`. Groups of 32 and 128, rows, whole matrices, blocks "
    "of 128 x 128 and 48 x 80; symmetric or with zeros; act-order; 3, 5, 6 and 7 bits in words "
    "with unused bits, as before 0.18.",
    held="scale * (code - zero) of the codes that were packed; the number of a float times its "
    "scale",
    variants=tuple(variants()),
)
