"""`python -m tests.parity.llama_cpp PYTHON`: llama.cpp's logits of the parity tests' GGUF files.

PYTHON is an interpreter that has llama-cpp-python, which is not among the tests' requirements. For
each family a random tiny model is written with the `gguf` package; both engines read the same file
and see the same tokens, with float32 weights, activations and cache: llama.cpp rounds activations
to 8 bits where weights are packed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gguf import GGMLQuantizationType as Type
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import NoReference
from tramontane.registry import Registry
from tramontane.verifying.llama_cpp import llama_cpp_logits

from . import gguf_file
from .forward import logits
from .test_gguf import TOKENS, WRITTEN


def compare(family: str, python: str, folder: Path) -> str:
    """The largest difference, as a share of the largest logit, and how often the likeliest token
    is the same; or why llama.cpp does not load the file."""
    path = folder / "model.gguf"
    gguf_file.pair(family, Type.F32, path)
    try:
        (theirs,), _ = llama_cpp_logits(path, [TOKENS], python=python, timeout=120)
    except NoReference as error:
        return f"refused: {error.message[:90]}"
    registry = Registry()
    options = LoadOptions(device="cpu", num_ctx=64, activations="f32")
    ours = load_model(open_checkpoint(path, registry), registry, options)
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    difference = float((mine - theirs).abs().max() / theirs.abs().max())
    same = float((mine.argmax(1) == theirs.argmax(1)).float().mean())
    return f"{difference:.1e}, {same:.0%} of the tokens"


def main(python: str) -> None:
    print("| family | llama.cpp |\n|---|---|")
    for family in WRITTEN:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {family} | {compare(family, python, Path(folder))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
