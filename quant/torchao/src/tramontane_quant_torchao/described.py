"""What torchao says of a matrix: an entry of the `__metadata__` of its safetensors file.

    {"_type": "Int8Tensor", "_tensor_data_names": ["qdata", "scale", "zero_point"], "_data":
     {"block_size": [1, 32], "dtype": {"_type": "torch.dtype", "_data": "bfloat16"}, ...}}

It is read as plain JSON: what a class is called there selects a formula, and nothing is made of it.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

KNOWN: dict[str, tuple[str, ...]] = {
    "Int8Tensor": ("block_size", "dtype", "act_quant_kwargs", "reduce_range"),
    "IntxUnpackedToInt8Tensor": ("target_dtype", "block_size", "dtype", "activation_quantization"),
    "Int4Tensor": ("block_size", "shape", "activation_dtype"),
    "Int4TilePackedTo4dTensor": ("block_size", "shape"),
    "Float8Tensor": ("block_size", "mm_config", "act_quant_kwargs", "kernel_preference", "dtype"),
    "MXTensor": (
        "elem_dtype", "block_size", "orig_dtype", "kernel_preference", "act_quant_kwargs",
        "is_swizzled_scales",
    ),
    "NVFP4Tensor": (
        "block_size", "orig_dtype", "is_swizzled_scales", "use_triton_kernel", "act_quant_kwargs",
    ),
}  # fmt: skip
"""The attributes of each kind. What they say of activations and kernels is not used."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Described:
    """kind: torchao's name of the class. values: its attributes, as JSON. parts: the names of its
    tensors, where they are told. path: the layer's, for messages."""

    kind: str
    values: Mapping[str, Any]
    parts: tuple[str, ...]
    path: str

    def sizes(self, name: str) -> tuple[int, ...]:
        """Sizes of dimensions. Raises CheckpointError."""
        found = self.values.get(name)
        if not isinstance(found, list) or not all(type(n) is int and n > 0 for n in found):
            raise self.wrong(name, "sizes of dimensions")
        return tuple(found)

    def number(self, name: str) -> int:
        """A positive integer. Raises CheckpointError."""
        found = self.values.get(name)
        if type(found) is not int or found < 1:
            raise self.wrong(name, "a positive integer")
        return found

    def flag(self, name: str) -> bool:
        """Whether something holds; missing: it does not. Raises CheckpointError."""
        found = self.values.get(name, False)
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false")
        return found

    def type_name(self, name: str) -> str:
        """What a torch dtype, or a type that torch lacks, is called. Raises CheckpointError."""
        found = self.values.get(name)
        if isinstance(found, dict) and found.get("_type") == "torch.dtype":
            found = found.get("_data")
        if not isinstance(found, str):
            raise self.wrong(name, "a type")
        return found

    def dtype(self, name: str) -> torch.dtype:
        """The type of the numbers that the codes stand for. Raises CheckpointError."""
        found = self.type_name(name)
        if found not in DTYPES:
            raise self.wrong(name, f"one of {', '.join(DTYPES)}")
        return DTYPES[found]

    def wrong(self, name: str, wanted: str) -> CheckpointError:
        value = one_line(reprlib.repr(self.values.get(name)), 80)
        return CheckpointError(f"{self.path}: {name}={value} of its {self.kind} must be {wanted}")


def described(name: str, metadata: Mapping[str, str], path: str) -> Described | None:
    """What is said of a matrix. name: its own, with `.weight`. None: that it is not quantized.

    Raises CheckpointError where nothing is said, and for what nobody knows how to read.
    """
    if name not in metadata:
        raise CheckpointError(
            f"{path}: the __metadata__ of its file does not describe {one_line(name)}; torchao "
            "needs it too: if a tool copied or merged the files and left it out, use those that "
            "torchao wrote"
        )
    try:
        said = json.loads(metadata[name])
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(kind := said.get("_type"), str):
        text = one_line(reprlib.repr(metadata[name]), 80)
        raise CheckpointError(
            f"{path}: the __metadata__ of its file describes it by {text}, which is not torchao's"
        )
    if kind in ("Tensor", "torch.Tensor"):
        return None
    if kind not in KNOWN:
        raise CheckpointError(
            f"{path}: it is a {one_line(kind, 60)} of torchao, which is packed for one device or "
            f"not known here; those that are read: {', '.join(KNOWN)}; quantize the model again "
            "with a plain packing format"
        )
    values, parts = said.get("_data"), said.get("_tensor_data_names", [])
    if not isinstance(values, dict) or not isinstance(parts, list):
        raise CheckpointError(f"{path}: its {kind} must have an object _data and a list of names")
    for attribute in values:
        if attribute not in KNOWN[kind]:
            raise CheckpointError(
                f"{path}: {one_line(attribute, 60)} of its {kind} is not known here; it may change "
                "what its numbers mean: update tramontane-quant-torchao"
            )
    return Described(kind, values, tuple(map(str, parts)), path)
