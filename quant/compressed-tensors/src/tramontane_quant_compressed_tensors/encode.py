"""Rounds matrices, as compressed-tensors stores them.

w4a16: 4-bit integers, a scale for 128 columns; w8a16: 8-bit integers, a scale a row. The scales are
bfloat16, which float16 holds too for such sizes. Their size is chosen for the smallest sum of
squared errors, weighted by what each column is multiplied with.
mxfp4, mxfp8: a power of two for 32 columns. nvfp4: an e4m3 scale for 16, and a number for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.layouts import float_table

E4M3 = 448.0
E2M1 = 6.0
INTEGERS = {"w4a16": (4, 128), "w8a16": (8, 0)}
"""Bits, and columns of a group; 0: all of a row."""
SHRUNK = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)
"""Parts of the largest scale that are tried: what is cut off at the ends is finer elsewhere."""
FLOATS: dict[str, tuple[str, dict[str, Any]]] = {
    "mxfp4": (
        "mxfp4-pack-quantized",
        {"num_bits": 4, "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"},
    ),
    "mxfp8": (
        "mxfp8-quantized",
        {"num_bits": 8, "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"},
    ),
    "nvfp4": (
        "nvfp4-pack-quantized",
        {"num_bits": 4, "strategy": "tensor_group", "group_size": 16,
         "scale_dtype": "torch.float8_e4m3fn"},
    ),
}  # fmt: skip


def encode(weight: Tensor, kind: str, importance: Tensor | None = None) -> dict[str, Tensor]:
    """weight: (rows, columns) -> a layer's tensors. importance: (columns). Raises ValueError."""
    if kind not in INTEGERS and kind not in FLOATS:
        raise ValueError(f"{kind!r} is not one of {', '.join((*INTEGERS, *FLOATS))}")
    weight = weight.float()
    if not weight.isfinite().all():
        raise ValueError("some of its weights are infinite or not numbers")
    size = INTEGERS[kind][1] if kind in INTEGERS else FLOATS[kind][1]["group_size"]
    if weight.shape[1] % (size or 4):
        raise ValueError(f"{weight.shape[1]} columns do not make groups of {size or 4}")
    groups = weight.unflatten(1, (-1, size or weight.shape[1]))
    if kind in INTEGERS:
        matters = torch.ones(weight.shape[1]) if importance is None else importance.float()
        return _integers(groups, INTEGERS[kind][0], matters.view(groups.shape[1:]))
    if kind == "nvfp4":
        return _nvfp4(groups)
    return _microscaled(groups, kind)


def _integers(groups: Tensor, bits: int, importance: Tensor) -> dict[str, Tensor]:
    half = 1 << (bits - 1)
    widest = groups.abs().amax(-1) / (half - 0.5)
    best = torch.full_like(widest, torch.inf)
    scale, codes = widest.bfloat16(), torch.zeros_like(groups, dtype=torch.int8)
    for part in SHRUNK:
        tried = (widest * part).bfloat16()
        tried = torch.where(tried > 0, tried, 1.0)
        near = (groups / tried.float()[..., None]).round().clamp(-half, half - 1)
        missed = ((near * tried.float()[..., None] - groups) ** 2 * importance).sum(-1)
        better = missed < best
        best = torch.where(better, missed, best)
        scale = torch.where(better, tried, scale)
        codes = torch.where(better[..., None], near.to(torch.int8), codes)
    rows = codes.flatten(1).to(torch.int16) + half
    each = 32 // bits
    rows = torch.nn.functional.pad(rows, (0, -rows.shape[1] % each))
    shifts = torch.arange(each, dtype=torch.int64) * bits
    words = (rows.unflatten(1, (-1, each)).long() << shifts).sum(-1)
    shape = torch.tensor([groups.shape[0], groups.shape[1] * groups.shape[2]])
    return {"weight_packed": words.to(torch.int32), "weight_scale": scale, "weight_shape": shape}


def _microscaled(groups: Tensor, kind: str) -> dict[str, Tensor]:
    """The power of two below the largest number's, or the next, whichever is nearer to the rest."""
    largest = groups.abs().amax(-1)
    top = 2 if kind == "mxfp4" else 8
    least = torch.where(largest > 0, largest, 1.0).log2().floor() - top
    tried = [
        (least + more).clamp(-126, 127) for more in (0, 1)
    ]  # fmt: skip
    made = [_rounded(groups / power.exp2()[..., None], kind) for power in tried]
    missed = [
        ((numbers * power.exp2()[..., None] - groups) ** 2).sum(-1)
        for (_, numbers), power in zip(made, tried, strict=True)
    ]
    second = missed[1] < missed[0]
    power = torch.where(second, tried[1], tried[0])
    codes = torch.where(second[..., None], made[1][0], made[0][0]).flatten(1)
    scale = (power + 127).to(torch.uint8)
    if kind == "mxfp8":
        return {"weight": codes.view(torch.float8_e4m3fn), "weight_scale": scale}
    return {"weight_packed": _in_bytes(codes), "weight_scale": scale}


def _nvfp4(groups: Tensor) -> dict[str, Tensor]:
    largest = groups.abs().amax(-1)
    most = largest.max()
    above = (E4M3 * E2M1 / most if most > 0 else torch.tensor(1.0)).reshape(1)
    scale = (largest / E2M1 * above).clamp(max=E4M3).to(torch.float8_e4m3fn)
    each = scale.float() / above
    near = groups / torch.where(each > 0, each, 1.0)[..., None]
    codes, _ = _rounded(near, "nvfp4")
    return {
        "weight_packed": _in_bytes(codes.flatten(1)),
        "weight_scale": scale,
        "weight_global_scale": above,
    }


def _rounded(near: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Codes uint8 of the nearest small floats, and these, of the shape of `near`."""
    if kind == "mxfp8":
        numbers = near.clamp(-E4M3, E4M3).to(torch.float8_e4m3fn)
        return numbers.view(torch.uint8), numbers.float()
    positive = float_table("e2m1")[:8]
    borders = (positive[1:] + positive[:-1]) / 2
    size = near.abs()
    # halfway, the even code: e2m1's codes and their fractions are even together
    down, up = torch.bucketize(size, borders), torch.bucketize(size, borders, right=True)
    code = torch.where(down % 2 == 0, down, up)
    numbers = positive[code].copysign(near)
    return (code | (near.signbit().long() << 3)).to(torch.uint8), numbers


def _in_bytes(codes: Tensor) -> Tensor:
    """(rows, columns) of 4 bits -> (rows, columns / 2) uint8, the first in the low half."""
    return codes[:, ::2] | codes[:, 1::2] << 4


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a folder of such layers: a group for each kind, with their names."""
    groups, formats = {}, []
    for number, kind in enumerate(dict.fromkeys(kinds.values())):
        form, weights = FLOATS[kind] if kind in FLOATS else _integer_settings(kind)
        formats.append(form)
        groups[f"group_{number}"] = {
            "targets": sorted(path for path, made in kinds.items() if made == kind),
            "weights": {
                "type": "float" if kind in FLOATS else "int",
                "symmetric": True,
                "dynamic": False,
                **weights,
            },
            "input_activations": None,
            "output_activations": None,
            "format": form,
        }
    return {
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "format": formats[0] if len(set(formats)) == 1 else "mixed-precision",
        "config_groups": groups,
        "ignore": [],
        "kv_cache_scheme": None,
    }


def _integer_settings(kind: str) -> tuple[str, dict[str, Any]]:
    bits, size = INTEGERS[kind]
    strategy = {"strategy": "group", "group_size": size} if size else {"strategy": "channel"}
    return "pack-quantized", {"num_bits": bits, **strategy}
