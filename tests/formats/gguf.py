"""GGUF: every type that the `gguf` package decodes, in files as llama.cpp's converter writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants

from tests.parity import gguf_file
from tests.parity.families import FAMILIES as RECORDS

from .models import FAMILIES
from .record import Format, Source, Variant, Write, Written

TYPES = (
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS",
    "TQ1_0", "TQ2_0", "MXFP4", "NVFP4",
)  # fmt: skip
SIZES = {"hidden_size": 256, "head_dim": 64, "moe_intermediate_size": 256, "intermediate_size": 256}


def writer(kind: Type) -> Write:
    def write(made: Source, folder: Path) -> Written:
        about = RECORDS[FAMILIES[made.family][0]].gguf
        assert about is not None
        random, stored, numbers = np.random.default_rng(4), {}, dict(made.tensors)
        for name, tensor in made.tensors.items():
            stored[name] = tensor.numpy()
            # converters leave routers as they are
            if tensor.ndim == 2 and not name.endswith(".gate.weight"):
                stored[name] = gguf_file.random_blocks(tuple(tensor.shape), kind, random)
                decoded = quants.dequantize(stored[name], kind).reshape(tuple(tensor.shape))
                numbers[name] = torch.from_numpy(np.array(decoded))
        path = folder / "model.gguf"
        gguf_file.write(about, about.convert(stored, made.config), made.config, kind, path)
        return Written(path, numbers, numbers)

    return write


FORMAT = Format(
    about="Blocks with random codes, embeddings and heads too; q and k in the order that the "
    "converter gives them; experts stacked; Phi-3's q, k and v in one. Q8_1, Q8_K, Q1_0 and Q2_0, "
    "which the package does not decode, are held in `tests/test_gguf_types.py`.",
    held="what the `gguf` package decodes",
    variants=tuple(Variant(name, "blocks", writer(Type[name])) for name in TYPES),
    sizes=SIZES,
)
