"""bitsandbytes: nf4 and fp4 over the flattened matrix, with scales that may be bytes; int8 by rows.

weight = table[code] * scale, rounded to the type that the state names
scale = table[byte] * nested scale + offset, with double quantization
int8: weight = code * SCB / 127
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import torch
from torch import Tensor
from tramontane_quant_bnb.tables import dynamic_table, table_of

from .bits import any_codes
from .folder import Make, as_folder
from .record import Format, Matrix, Variant

NESTED = 256


def four(kind: str, block: int, *, double: bool, dtype: str, stored: torch.dtype) -> Make:
    def made(path: str, weight: Tensor) -> Matrix:
        count = weight.numel()
        codes = any_codes((count,), 4)
        table = table_of(kind) + 0.0
        scale = torch.rand(count // block) * 0.2 + 0.1
        state: dict[str, Any] = {
            "quant_type": kind, "blocksize": block, "dtype": dtype, "shape": list(weight.shape),
        }  # fmt: skip
        raw = (codes[::2] << 4 | codes[1::2]).to(torch.uint8)
        parts = {"weight": raw.view(stored)[:, None], "weight.quant_map": table}
        if double:
            numbers, held = dynamic_table().clone(), any_codes(scale.shape, 8)
            above = torch.rand(-(-len(held) // NESTED)) * 0.05 + 0.05
            scale = numbers[held] * above.repeat_interleave(NESTED)[: len(held)] + 0.2
            state |= {
                "nested_blocksize": NESTED, "nested_dtype": "float32",
                "nested_offset": torch.tensor(0.2).item(),
            }  # fmt: skip
            parts |= {
                "weight.absmax": held.to(torch.uint8), "weight.nested_absmax": above,
                "weight.nested_quant_map": numbers,
            }  # fmt: skip
        else:
            parts["weight.absmax"] = scale
        letters = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
        parts[f"weight.quant_state.bitsandbytes__{kind}"] = letters
        exact = (table[codes] * scale.repeat_interleave(block)).view(weight.shape)
        return Matrix(parts, exact.to(getattr(torch, dtype)).float(), exact)

    return made


def eight(path: str, weight: Tensor) -> Matrix:
    codes = torch.randint(-127, 128, weight.shape, dtype=torch.int8)
    largest = torch.rand(len(weight)) * 0.2 + 0.1
    parts = {"weight": codes, "SCB": largest, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return Matrix(parts, codes.float() * largest[:, None] * (1 / 127))


def variants() -> list[Variant]:
    made = []
    for kind, double, block in product(("nf4", "fp4"), (False, True), (64, 128, 512)):
        for dtype, stored in (("float32", torch.uint8), ("bfloat16", torch.bfloat16)):
            said = {
                "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind,
                "bnb_4bit_use_double_quant": double,
            }  # fmt: skip
            make = four(kind, block, double=double, dtype=dtype, stored=stored)
            row = f"{kind}, double quantization" if double else kind
            made.append(Variant(row, f"b{block} {dtype}", as_folder(make, said)))
    said = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    return [*made, Variant("int8", "rows", as_folder(eight, said))]


FORMAT = Format(
    about="`quant_method: bitsandbytes`. Blocks of 64, 128 and 512, which run from row to row; "
    "weights that mean float32 or bfloat16; codes stored as bytes and as bfloat16.",
    held="the table's number times its block's scale, rounded to the type that the state names; "
    "code * SCB / 127",
    variants=tuple(variants()),
)
