"""A tiny adapter in a GGUF file, for the conformance kit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tramontane_quant_gguf.names import DECODER
from tramontane_quant_gguf.writer import Value, Written, write_gguf

from .read import ALPHA, FIRST, SECOND

RANK, F32 = 2, 0


def write(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """shapes: (rows, columns) of the matrices to change, by their weights' names."""
    ours = {theirs: name for name, theirs in DECODER.items()}
    tensors = []
    for path, (rows, columns) in shapes.items():
        number = "".join(re.findall(r"(?<=\.)\d+(?=\.)", path))
        module = re.sub(r"(?<=\.)\d+(?=\.)", "{}", path.removesuffix(".weight"))
        name = ours[module].replace("{}", number)
        for part, shape in ((FIRST, (RANK, columns)), (SECOND, (rows, RANK))):
            data = np.full(shape, 0.5, "<f4").tobytes()
            tensors.append(Written(f"{name}.weight{part}", F32, shape, data))
    metadata: dict[str, Value] = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        ALPHA: float(RANK),
    }
    return write_gguf(folder / "adapter.gguf", metadata, tensors)
