"""The sample's formats decoded number by number, for the conformance kit.

No arithmetic is shared with `formats.py`. What mistral.rs wrote is compared in this repository's
tests, for all formats.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def decode(path: Path) -> dict[str, Tensor]:
    """Every weight of a file in float32."""
    tensors, found = load_file(path), {}
    for name, tensor in tensors.items():
        if f"{name}.format" in tensors:
            parts = {
                part.removeprefix(f"{name}."): each
                for part, each in tensors.items()
                if part.startswith(f"{name}.")
            }
            found[name] = PLAIN[int(parts["format"])](tensor, parts)
        elif not name.startswith("uqff.") and not any(
            name.startswith(f"{other}.") for other in tensors
        ):
            found[name] = tensor.float()
    return found


def _q8_0(raw: Tensor, parts: dict[str, Tensor]) -> Tensor:
    assert int(parts["dtype"]) == 8
    blocks = raw.view(-1, 34)
    scale = blocks[:, :2].contiguous().view(torch.float16).float()
    return (blocks[:, 2:].contiguous().view(torch.int8) * scale).view(*parts["shape"].tolist())


def _hqq(words: Tensor, parts: dict[str, Tensor]) -> Tensor:
    bits, group = int(parts["bits"]), int(parts["group_size"])
    assert bits in (4, 8)
    rows = [words >> 4, words & 15] if bits == 4 else [words]
    codes = torch.cat(rows).float()
    assert len(codes) == group
    return ((codes - parts["zeros"]) * parts["scales"]).view(*parts["shape"].tolist())


def _fp8(weight: Tensor, parts: dict[str, Tensor]) -> Tensor:
    return weight.float() * parts["dequant_w_scale"]


def _afq(words: Tensor, parts: dict[str, Tensor]) -> Tensor:
    bits, group, made = int(parts["bits"]), int(parts["group_size"]), []
    for numbers in words.tolist():
        stream = sum(number << (32 * place) for place, number in enumerate(numbers))
        made.append(
            [(stream >> (bits * i)) % (1 << bits) for i in range(len(numbers) * 32 // bits)]
        )
    scales, biases = (parts[name].repeat_interleave(group, 1) for name in ("scales", "biases"))
    return torch.tensor(made) * scales + biases


def _f8q8(raw: Tensor, parts: dict[str, Tensor]) -> Tensor:
    blocks = raw.view(-1, 33)
    scale = blocks[:, :1].contiguous().view(torch.float8_e4m3fn).float() / 416
    return (blocks[:, 1:].contiguous().view(torch.int8) * scale).view(*parts["shape"].tolist())


def _mxfp4(raw: Tensor, parts: dict[str, Tensor]) -> Tensor:
    made = []
    for codes, scales in zip(raw.tolist(), parts["scales"].tolist(), strict=True):
        each = [code for byte in codes for code in (byte % 16, byte // 16)]
        made.append([
            math.ldexp(E2M1[code % 8] * (-1 if code > 7 else 1), scales[i // 32] - 127)
            for i, code in enumerate(each)
        ])  # fmt: skip
    return torch.tensor(made)


PLAIN = {0: _q8_0, 2: _hqq, 3: _fp8, 4: _afq, 5: _f8q8, 6: _mxfp4}
