"""A tiny GGLA adapter, for the conformance kit."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .adapter import FIRST, SECOND
from .header import ALIGNMENT, LORA

RANK, F32 = 2, 0
MODULES = {
    "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}  # fmt: skip
"""Of a layer, by the paths of the model."""


def write(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """shapes: (rows, columns) of the matrices to change, by their weights' paths."""
    data = bytearray(LORA + struct.pack("<3i", 1, RANK, RANK))
    for path, (rows, columns) in shapes.items():
        found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", path)
        assert found is not None, path
        name = f"layers.{found[1]}.{MODULES[found[2]]}.weight"
        for part, extent in ((FIRST, columns), (SECOND, rows)):
            label = f"{name}.{part}".encode()
            data += struct.pack("<5i", 2, len(label), F32, RANK, extent) + label
            data += bytes(-len(data) % ALIGNMENT)
            data += np.full((extent, RANK), 0.5, "<f4").tobytes()
    out = folder / "ggml-adapter-model.bin"
    out.write_bytes(data)
    return out
