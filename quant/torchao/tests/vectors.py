"""Matrices of every kind of torchao's tensors, small, and the sums of what torchao makes of them.

SHA is of `dequantize()` in float32, of torchao 0.18.0, for matrices made by `object_from_dict` of
torchao.prototype.safetensors. Int4Tensor has no `dequantize`, and tiles have none; theirs are of
`_dequantize_affine_tinygemm`, and of code * scale + zero, of the codes that the tests pack.
"""

from __future__ import annotations

import hashlib
from math import prod
from typing import Any

import torch
from torch import Tensor


def ints(
    *shape: int, low: int, high: int, step: int = 7, dtype: torch.dtype = torch.int8
) -> Tensor:
    """Numbers from low to high - 1 that do not repeat soon, on every machine the same."""
    raw = torch.arange(prod(shape)) * step + torch.arange(prod(shape)) ** 2 % 11
    return (raw % (high - low) + low).reshape(shape).to(dtype)


def floats(*shape: int, dtype: torch.dtype = torch.float32, step: int = 13) -> Tensor:
    """Positive numbers with all their digits."""
    return ((ints(*shape, low=1, high=97, step=step) + 0.3) / 1024).to(dtype)


def eight(*shape: int, dtype: torch.dtype = torch.float8_e4m3fn) -> Tensor:
    """Codes of 8-bit floats, all of them numbers."""
    codes = ints(*shape, low=0, high=256, dtype=torch.uint8)
    return codes.masked_fill(~codes.view(dtype).float().isfinite(), 1).view(dtype)


def powers(*shape: int) -> Tensor:
    return ints(*shape, low=115, high=135, dtype=torch.uint8).view(torch.float8_e8m0fnu)


def named(dtype: str) -> dict[str, str]:
    return {"_type": "torch.dtype", "_data": dtype}


def affine(block: list[int], dtype: str, bits: int = 0) -> dict[str, Any]:
    values: dict[str, Any] = {"block_size": block, "dtype": named(dtype)}
    return values | (
        {"target_dtype": named(f"int{bits}"), "activation_quantization": None}
        if bits
        else {"act_quant_kwargs": None, "reduce_range": False}
    )


def float8(block: list[int], dtype: str) -> dict[str, Any]:
    kernel = {"_type": "KernelPreference", "_data": "AUTO"}
    return {
        "block_size": block, "dtype": named(dtype), "mm_config": None, "act_quant_kwargs": None,
        "kernel_preference": kernel,
    }  # fmt: skip


def mx(element: Any, dtype: str, swizzled: bool = False) -> dict[str, Any]:
    kernel = {"_type": "KernelPreference", "_data": "EMULATED"}
    return {
        "elem_dtype": element, "block_size": 32, "orig_dtype": named(dtype),
        "kernel_preference": kernel, "act_quant_kwargs": None, "is_swizzled_scales": swizzled,
    }  # fmt: skip


def nvfp4(dtype: str, swizzled: bool = False) -> dict[str, Any]:
    return {
        "block_size": 16, "orig_dtype": named(dtype), "is_swizzled_scales": swizzled,
        "use_triton_kernel": False, "act_quant_kwargs": None,
    }  # fmt: skip


def octets(*shape: int) -> Tensor:
    return ints(*shape, low=0, high=256, dtype=torch.uint8)


BF16 = torch.bfloat16
Case = tuple[str, dict[str, Any], dict[str, Tensor]]
CASES: dict[str, Case] = {
    "int8 rows": (
        "Int8Tensor", affine([1, 32], "bfloat16"),
        {"qdata": ints(6, 32, low=-128, high=128), "scale": floats(6, 1)},
    ),
    "int8 groups, zeros": (
        "Int8Tensor", affine([1, 16], "float16"),
        {
            "qdata": ints(6, 32, low=-128, high=128), "scale": floats(6, 2),
            "zero_point": ints(6, 2, low=-90, high=90),
        },
    ),
    "int8 matrix": (
        "Int8Tensor", affine([6, 32], "float32"),
        {"qdata": ints(6, 32, low=-128, high=128), "scale": floats(1, 1)},
    ),
    "int8 blocks": (
        "Int8Tensor", affine([3, 16], "bfloat16"),
        {"qdata": ints(6, 32, low=-128, high=128), "scale": floats(2, 2)},
    ),
    "int8 experts": (
        "Int8Tensor", affine([1, 1, 16], "bfloat16"),
        {"qdata": ints(3, 4, 16, low=-128, high=128), "scale": floats(3, 4, 1)},
    ),
    "int8 narrow groups": (
        "Int8Tensor", affine([1, 4], "bfloat16"),
        {
            "qdata": ints(6, 8, low=-128, high=128), "scale": floats(6, 2),
            "zero_point": ints(6, 2, low=-90, high=90),
        },
    ),
    **{
        f"int{bits} groups": (
            "IntxUnpackedToInt8Tensor", affine([1, 16], "bfloat16", bits),
            {
                "qdata": ints(6, 32, low=-(1 << (bits - 1)), high=1 << (bits - 1)),
                "scale": floats(6, 2, dtype=BF16), "zero_point": ints(6, 2, low=-2, high=2),
            },
        )
        for bits in range(1, 9)
    },
    "int4 rows of odd length": (
        "IntxUnpackedToInt8Tensor", affine([1, 9], "float16", 4),
        {
            "qdata": ints(6, 9, low=-8, high=8), "scale": floats(6, 1, dtype=torch.float16),
            "zero_point": torch.zeros(6, 1, dtype=torch.int8),
        },
    ),
    "int4 fractions": (
        "IntxUnpackedToInt8Tensor", affine([1, 16], "bfloat16", 4),
        {
            "qdata": ints(6, 32, low=-8, high=8), "scale": floats(6, 2, dtype=BF16),
            "zero_point": floats(6, 2, dtype=BF16),
        },
    ),
    "int8 fractions": (
        "IntxUnpackedToInt8Tensor", affine([1, 16], "float32", 8),
        {
            "qdata": ints(6, 32, low=-128, high=128), "scale": floats(6, 2),
            "zero_point": floats(6, 2),
        },
    ),
    "float8 rows": (
        "Float8Tensor", float8([1, 32], "bfloat16"),
        {"qdata": eight(6, 32), "scale": floats(6, 1)},
    ),
    "float8 matrix": (
        "Float8Tensor", float8([6, 32], "float32"), {"qdata": eight(6, 32), "scale": floats(1, 1)},
    ),
    "float8 blocks": (
        "Float8Tensor", float8([3, 16], "bfloat16"), {"qdata": eight(6, 32), "scale": floats(2, 2)},
    ),
    "float8 columns": (
        "Float8Tensor", float8([6, 1], "bfloat16"), {"qdata": eight(6, 32), "scale": floats(1, 32)},
    ),
    "float8 experts, e5m2": (
        "Float8Tensor", float8([1, 1, 16], "float32"),
        {"qdata": eight(3, 4, 16, dtype=torch.float8_e5m2), "scale": floats(3, 4, 1)},
    ),
    "mxfp8": (
        "MXTensor", mx(named("float8_e4m3fn"), "bfloat16"),
        {"qdata": eight(6, 64), "scale": powers(6, 2)},
    ),
    "mxfp6": (
        "MXTensor", mx("fp6_e3m2", "float32"), {"qdata": octets(6, 64) % 64, "scale": powers(6, 2)},
    ),
    "mxfp4": (
        "MXTensor", mx(named("float4_e2m1fn_x2"), "bfloat16"),
        {"qdata": octets(6, 32), "scale": powers(6, 2)},
    ),
    "mxfp4, swizzled": (
        "MXTensor", mx(named("float4_e2m1fn_x2"), "bfloat16", swizzled=True),
        {"qdata": octets(140, 96), "scale": powers(64, 32)},
    ),
    "nvfp4": ("NVFP4Tensor", nvfp4("bfloat16"), {"qdata": octets(6, 32), "scale": eight(6, 4)}),
    "nvfp4, swizzled": (
        "NVFP4Tensor", nvfp4("float32", swizzled=True),
        {
            "qdata": octets(140, 48), "scale": eight(64, 32),
            "per_tensor_scale": torch.tensor(0.37), "act_per_tensor_scale": torch.tensor(0.5),
        },
    ),
    "nvfp4 experts": (
        "NVFP4Tensor", nvfp4("bfloat16"),
        {
            "qdata": octets(3, 4, 16), "scale": eight(3, 4, 2),
            "per_tensor_scale": floats(3, 1, 1),
        },
    ),
}  # fmt: skip

SHA = {
    "int8 rows": "86e9bbbc1ecbb14a",
    "int8 groups, zeros": "5843f0c30db5f920",
    "int8 matrix": "a277db7f182d9aef",
    "int8 blocks": "dd25fc3f785f6ef7",
    "int8 experts": "c3390e15d3888d7e",
    "int8 narrow groups": "52126ba4a5deb3b9",
    "int1 groups": "f9059746b873fcf4",
    "int2 groups": "dafab2246adff542",
    "int3 groups": "ceebcba6575c39e9",
    "int4 groups": "9fbc36d0c3c4c1f4",
    "int5 groups": "57ab2fe8ecfb186c",
    "int6 groups": "da3c0a462f6872cc",
    "int7 groups": "a95d71be115ee0f4",
    "int8 groups": "e78eec3b481cea64",
    "int4 rows of odd length": "2b5986c2d80a6480",
    "int4 fractions": "a4f5ad28235efcef",
    "int8 fractions": "89c1084a651c398d",
    "float8 rows": "def8022b785580bd",
    "float8 matrix": "faecf0e8c8eb8545",
    "float8 blocks": "3313e958a5190c4d",
    "float8 columns": "b1fca5e8b0ac2c47",
    "float8 experts, e5m2": "355351398a08e647",
    "mxfp8": "0aa85501338dd81b",
    "mxfp6": "60648f0d5c7bd060",
    "mxfp4": "6017db0d4b2870f7",
    "mxfp4, swizzled": "13009024695e9630",
    "nvfp4": "11693067e020fd44",
    "nvfp4, swizzled": "8acc748ed4f07a5a",
    "nvfp4 experts": "07a0a167a2af2376",
}


def sha(weight: Tensor) -> str:
    return hashlib.sha256(weight.float().contiguous().numpy().tobytes()).hexdigest()[:16]
