"""Quantizing, held to mlx-cpu 0.32.4."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor
from tramontane_quant_afq.encode import encode, kind_named, settings
from tramontane_quant_afq.layers import translate
from tramontane_quant_afq.plugin import KINDS

MLX = {
    ("afq2", "float32"): ("8ea17f379fb8889f", "447d460b01416a51"),
    ("afq2", "bfloat16"): ("0c2682846d5c8272", "0982afb8c878d54d"),
    ("afq3", "float32"): ("54401419df5cdf58", "9ffa0fdd79b13670"),
    ("afq3", "bfloat16"): ("9a9a105c9b7676f4", "558c865d01a79636"),
    ("afq4", "float32"): ("0d60bcd2fc5a937b", "70bc0b6be5bf720e"),
    ("afq4", "bfloat16"): ("cda3e7535e6f2e35", "ba25b722018da7b8"),
    ("afq5", "float32"): ("1d9877c6e8897a43", "a17ea5eccdce3668"),
    ("afq5", "bfloat16"): ("443adef59f7b847f", "046c6a9419f661fc"),
    ("afq6", "float32"): ("3b1f7852b503ef86", "c53bb2366a89decc"),
    ("afq6", "bfloat16"): ("73beaf3fd2ffa429", "2a6136ba05d80207"),
    ("afq8", "float32"): ("f0bf725ceb685a28", "43b9e68e9fbce0ef"),
    ("afq8", "bfloat16"): ("0f00b1031857bede", "1d2ae8dddfb49146"),
    ("mxfp4", "float32"): ("2bd1c7533dc1e46f", "68a1e118b36c93d4"),
    ("mxfp4", "bfloat16"): ("1826096283ee4662", "e27dfe6322552e40"),
    ("nvfp4", "float32"): ("16bff12738f977b3", "df3d52911f86e157"),
    ("nvfp4", "bfloat16"): ("c726d9bf64d00432", "b95e5f6d027e289f"),
    ("mxfp8", "float32"): ("7afb35322180f042", "fb8cbc8dab93dd22"),
    ("mxfp8", "bfloat16"): ("7b5a460bf7d5d856", "376b516f1de804a1"),
}
"""Digests of `mx.quantize`'s arrays, its floats as float32, and of what `mx.dequantize` makes."""


def weights(dtype: str) -> Tensor:
    """The matrix (6, 128) that MLX was given."""
    numbers = (torch.arange(6 * 128) * 7919 + 104729) % 10007 - 5003
    return (numbers.float() / 8192).view(6, 128).to(getattr(torch, dtype)).float()


def short(*tensors: Tensor) -> str:
    held = (t.float() if t.is_floating_point() else t for t in tensors)
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in held)).hexdigest()[:16]


@pytest.mark.parametrize(("kind", "dtype"), MLX)
def test_it_is_what_mlx_makes(kind: str, dtype: str) -> None:
    made = encode(weights(dtype), kind)
    quantized, decoded = MLX[kind, dtype]
    assert short(*made.values()) == quantized
    layout = translate(made, settings({"p": kind}), "p", (6, 128))
    assert layout is not None
    assert short(layout.decode(getattr(torch, dtype)).float() + 0.0) == decoded


def test_every_kind_is_known() -> None:
    assert {kind for kind, _ in MLX} == set(KINDS)
    for kind, bits in KINDS.items():
        how = kind_named(kind)
        extra = 32 / how.group if how.mode == "affine" else 8 / how.group
        assert bits == how.bits + extra


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_and_single_numbers_are_kept(kind: str) -> None:
    weight = torch.zeros(3, 128)
    weight[1] = 0.5
    weight[2] = -2.0
    made = encode(weight, kind)
    layout = translate(made, settings({"p": kind}), "p")
    assert layout is not None
    far = 1 / 16 if kind == "nvfp4" else 0  # whose scale has three bits of fraction
    assert ((layout.decode() - weight).abs() <= far * weight.abs()).all()


def test_the_scales_have_the_type_of_the_weights() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        weight = torch.linspace(-1, 1, 64)[None].to(dtype)
        assert encode(weight.float(), "afq4")["scales"].dtype == dtype


def test_settings_name_what_differs() -> None:
    affine = {"group_size": 64, "bits": 4, "mode": "affine"}
    floats = {"group_size": 16, "bits": 4, "mode": "nvfp4"}
    assert settings({"a": "afq4", "b": "nvfp4", "c": "afq4"}) == {**affine, "b": floats}


@pytest.mark.parametrize("weight", [torch.ones(2, 48), torch.full((2, 64), torch.inf)])
def test_what_cannot_be_quantized_is_refused(weight: Tensor) -> None:
    with pytest.raises(ValueError, match="afq4"):
        encode(weight, "afq4")
