"""`python -m tests.parity.llama_cpp PYTHON`: llama.cpp's logits of the parity tests' GGUF files.

PYTHON is an interpreter that has llama-cpp-python, which is not among the tests' requirements. For
each family a random tiny model is written with the `gguf` package; both engines read the same file
and see the same tokens, with float32 weights, activations and cache: llama.cpp rounds activations
to 8 bits where weights are packed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file
from .forward import logits
from .test_gguf import TOKENS, WRITTEN

THEIRS = """
import sys
import numpy as np
from llama_cpp import Llama
model, out, *tokens = sys.argv[1:]
llm = Llama(model, n_ctx=64, n_batch=64, n_threads=1, logits_all=True, verbose=False,
            type_k=0, type_v=0, flash_attn=False)
llm.eval([int(token) for token in tokens])
np.save(out, np.array(llm.scores[: len(tokens)]))
"""


def compare(family: str, python: str, folder: Path) -> str:
    """The largest difference, as a share of the largest logit, and how often the likeliest token
    is the same; or why llama.cpp does not load the file."""
    path, out = folder / "model.gguf", folder / "theirs.npy"
    gguf_file.pair(family, Type.F32, path)
    command = [python, "-c", THEIRS, str(path), str(out), *map(str, TOKENS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.strip()]
        return f"refused: {last[-1][:60]}" if last else f"ended with {done.returncode}"
    theirs = np.load(out)
    registry = Registry()
    options = LoadOptions(device="cpu", num_ctx=64, activations="f32")
    ours = load_model(open_checkpoint(path, registry), registry, options)
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    difference = np.abs(mine.numpy() - theirs).max() / np.abs(theirs).max()
    same = (mine.numpy().argmax(1) == theirs.argmax(1)).mean()
    return f"{difference:.1e}, {same:.0%} of the tokens"


def main(python: str) -> None:
    print("| family | llama.cpp |\n|---|---|")
    for family in WRITTEN:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {family} | {compare(family, python, Path(folder))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
