"""Quantizing as bitsandbytes does on a CPU, bit for bit.

4 bits: a block's numbers are multiplied by 1 / absmax in float32, and each becomes the code of the
nearest of the table's numbers, the lower of two that are as near. Double quantization takes the
mean from the scales and makes bytes of them, in blocks of 256; the library looks these up by the
nearest of 65536 steps from -1 to 1, so that a number close to the middle between two of its table
may become the farther one. int8: rows are first rounded to float16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .tables import dynamic_table, table_of

BLOCK, NESTED, STEPS = 64, 256, 65535
TINY = 1e-38


def encode(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """A layer's tensors from its matrix (rows, columns) of float32, or of another float, which is
    then the dtype to which its weights are decoded. Raises ValueError."""
    if kind == "int8":
        return _int8(weight)
    quant_type, _, double = kind.partition("-")
    if weight.numel() % 2:
        raise ValueError(f"{tuple(weight.shape)}: {kind} puts two numbers in a byte")
    table, (codes, absmax) = table_of(quant_type), _codes(weight, quant_type)
    dtype = str(weight.dtype).removeprefix("torch.")
    state = {
        "quant_type": quant_type, "blocksize": BLOCK, "dtype": dtype, "shape": list(weight.shape),
    }  # fmt: skip
    made = {"weight": (codes[::2] << 4 | codes[1::2])[:, None], "weight.quant_map": table + 0.0}
    if double:
        offset = absmax.mean()
        absmax, above = _bytes(absmax - offset)
        state |= {
            "nested_blocksize": NESTED, "nested_dtype": "float32", "nested_offset": offset.item()
        }  # fmt: skip
        made |= {
            "weight.nested_absmax": above, "weight.nested_quant_map": dynamic_table().clone()
        }  # fmt: skip
    letters = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
    return {
        **made, "weight.absmax": absmax,
        f"weight.quant_state.bitsandbytes__{quant_type}": letters,
    }  # fmt: skip


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The `quantization_config` of a folder with these layers. Raises ValueError where they have
    more than one kind: the format has one for a model."""
    found = sorted(set(kinds.values()))
    if len(found) != 1:
        raise ValueError(f"bitsandbytes has one kind for a whole model, not {', '.join(found)}")
    if found[0] == "int8":
        return {
            "quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False,
            "llm_int8_threshold": 6.0, "llm_int8_skip_modules": None,
            "llm_int8_has_fp16_weight": False,
        }  # fmt: skip
    quant_type, _, double = found[0].partition("-")
    return {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False,
        "bnb_4bit_quant_type": quant_type, "bnb_4bit_use_double_quant": bool(double),
        "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_storage": "uint8",
    }  # fmt: skip


def _codes(weight: Tensor, quant_type: str) -> tuple[Tensor, Tensor]:
    """A code for each number, (numbers) uint8, and a scale for each block, float32."""
    flat = weight.reshape(-1).float()
    if not flat.isfinite().all():
        raise ValueError("weights that are infinite or not numbers cannot be quantized")
    full = len(flat) // BLOCK * BLOCK
    absmax = flat[:full].view(-1, BLOCK).abs().amax(-1)
    scaled = (flat[:full].view(-1, BLOCK) * (1 / absmax.clamp(min=TINY))[:, None]).flatten()
    if full < len(flat):  # the last block is divided
        last = flat[full:].abs().max().clamp(min=TINY)
        absmax = torch.cat((absmax, last[None]))
        scaled = torch.cat((scaled, flat[full:] / last))
    table = table_of(quant_type) + 0.0
    order = table.argsort()
    between = (table[order[:-1]] + table[order[1:]]) / 2
    place = torch.bucketize(scaled.clamp(-1, 1), between, out_int32=True)
    return order[place].to(torch.uint8), absmax


def _bytes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Scales (n) as bytes, and the largest of each 256 of them."""
    table = dynamic_table()
    blocks = torch.nn.functional.pad(values, (0, -len(values) % NESTED)).view(-1, NESTED)
    absmax = blocks.abs().amax(-1)
    scaled = (blocks / absmax.clamp(min=TINY)[:, None]).flatten()[: len(values)]
    step = ((scaled + 1) * 0.5 * STEPS + 0.5).floor().clamp(0, STEPS)
    between = (table[:-1] + table[1:]) / 2
    return torch.bucketize(step / STEPS * 2 - 1, between, out_int32=True).to(torch.uint8), absmax


def _int8(weight: Tensor) -> dict[str, Tensor]:
    half = weight.to(torch.float16)
    if not half.isfinite().all():
        raise ValueError("int8 takes weights as float16, in which these are infinite or no numbers")
    largest = half.abs().amax(1).float()
    factor = torch.where(largest > 0, 127.0 / largest, 0)
    codes = (half * factor[:, None]).round().to(torch.int8)
    form = torch.tensor(0, dtype=torch.uint8)
    return {"weight": codes, "SCB": largest, "weight_format": form}
