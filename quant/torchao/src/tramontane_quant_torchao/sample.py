"""A tiny folder for the conformance kit, with a layer of each kind of tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

ROWS, COLUMNS = 24, 128
BF16 = {"_type": "torch.dtype", "_data": "bfloat16"}


def write(folder: Path) -> Path:
    """A folder as torchao and transformers save it."""
    torch.manual_seed(0)
    tensors: dict[str, Tensor] = {"model.norm.weight": torch.ones(COLUMNS)}
    metadata = {"format": "pt", "model.norm.weight": json.dumps({"_type": "Tensor"})}
    for number, (kind, (values, parts)) in enumerate(_layers().items()):
        path = f"model.layers.{number}.mlp.up_proj"
        said = {"_type": kind, "_data": values, "_tensor_data_names": list(parts)}
        metadata[f"{path}.weight"] = json.dumps(said)
        tensors |= {f"{path}._weight_{part}": tensor for part, tensor in parts.items()}
    metadata["tensor_names"] = json.dumps([name for name in metadata if name != "format"])
    settings = {"quant_method": "torchao", "quant_type": {"default": {}}}
    config = {"architectures": ["AcmeForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata)
    return folder


def _layers() -> dict[str, tuple[Mapping[str, Any], Mapping[str, Tensor]]]:
    """The attributes and tensors of each kind."""
    floats = {"act_quant_kwargs": None, "kernel_preference": None}
    return {
        "Int8Tensor": (
            {"block_size": [1, COLUMNS], "dtype": BF16, "reduce_range": False},
            {
                "qdata": _int8(-128, 128), "scale": torch.rand(ROWS, 1),
                "zero_point": _zeros(ROWS, 1),
            },
        ),
        "IntxUnpackedToInt8Tensor": (
            {
                "block_size": [1, 32], "dtype": BF16, "activation_quantization": None,
                "target_dtype": {"_type": "torch.dtype", "_data": "int3"},
            },
            {"qdata": _int8(-4, 4), "scale": _rand(ROWS, 4), "zero_point": _zeros(ROWS, 4)},
        ),
        "Int4Tensor": (
            {"block_size": [1, 32], "shape": [ROWS, COLUMNS], "activation_dtype": BF16},
            {
                "qdata": _int8(-128, 128)[:, : COLUMNS // 2].contiguous(),
                "scale": _rand(4, ROWS), "zero_point": _rand(4, ROWS),
            },
        ),
        "Int4TilePackedTo4dTensor": (
            {"block_size": [1, 32], "shape": [ROWS, COLUMNS]},
            {
                "qdata": torch.randint(-(2**31), 2**31, (ROWS // 8, 8, 32, 4), dtype=torch.int32),
                "scale_and_zero": _rand(32, ROWS, 2),
            },
        ),
        "Float8Tensor": (
            {"block_size": [1, COLUMNS], "mm_config": None, "dtype": BF16, **floats},
            {"qdata": _float8(ROWS, COLUMNS), "scale": torch.rand(ROWS, 1)},
        ),
        "MXTensor": (
            {
                "elem_dtype": "fp6_e2m3", "block_size": 32, "orig_dtype": BF16,
                "is_swizzled_scales": False, **floats,
            },
            {
                "qdata": torch.randint(0, 64, (ROWS, COLUMNS), dtype=torch.uint8),
                "scale": torch.randint(120, 130, (ROWS, 4), dtype=torch.uint8).view(
                    torch.float8_e8m0fnu
                ),
            },
        ),
        "NVFP4Tensor": (
            {
                "block_size": 16, "orig_dtype": BF16, "is_swizzled_scales": True,
                "use_triton_kernel": False, "act_quant_kwargs": None,
            },
            {
                "qdata": torch.randint(0, 256, (ROWS, COLUMNS // 2), dtype=torch.uint8),
                "scale": _float8(32, 32), "per_tensor_scale": torch.tensor(0.01),
            },
        ),
    }  # fmt: skip


def _int8(low: int, high: int) -> Tensor:
    return torch.randint(low, high, (ROWS, COLUMNS), dtype=torch.int8)


def _zeros(*shape: int) -> Tensor:
    return torch.randint(-3, 4, shape, dtype=torch.int8)


def _rand(*shape: int) -> Tensor:
    return torch.rand(shape).to(torch.bfloat16)


def _float8(*shape: int) -> Tensor:
    return (torch.randn(shape) * 50).to(torch.float8_e4m3fn)
