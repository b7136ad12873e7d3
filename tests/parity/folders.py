"""`python -m tests.parity.folders PYTHON [FAMILY...]`: GGUF files written from folders.

Of every configuration of every family a folder is written with transformers, and a file from it by
`tramontane quantize`. Logits of the folder are compared with those of the file, here and in
llama-cpp-python, which PYTHON is an interpreter with.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers
from torch import Tensor
from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import NoReference, TramontaneError
from tramontane.quantizing.choices import Asked
from tramontane.quantizing.convert import convert
from tramontane.registry import Registry
from tramontane.verifying.llama_cpp import llama_cpp_logits

from . import reference
from .families import FAMILIES
from .forward import logits

TOKENS = torch.randint(0, 96, (30,), generator=torch.Generator().manual_seed(2)).tolist()


def write_folder(family: str, settings: dict[str, Any], folder: Path) -> None:
    """A random model with a byte-level tokenizer of as many tokens as it has."""
    record = FAMILIES[family]
    model = reference.random(record, {**record.shared, **settings}, 5)
    reference.save(record, model, folder)
    write_tokenizer(folder, model.config.vocab_size)


def write_tokenizer(folder: Path, size: int) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())[: size - 1]
    vocabulary = {letter: index for index, letter in enumerate([*letters, letters[0] + letters[1]])}
    merges = [(letters[0], letters[1])]
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.save(str(folder / "tokenizer.json"))


def to_gguf(folder: Path, out: Path, kind: str = "f32") -> None:
    registry = Registry()
    checkpoint = open_checkpoint(folder, registry)
    convert(
        build_for(checkpoint, registry), registry, Asked(kind), out,
        folder=folder, importance={}, force=False, progress=lambda *_: None,
    )  # fmt: skip


def logits_of(path: Path, device: str = "reference") -> Tensor:
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32")
    loaded = load_model(open_checkpoint(path, registry), registry, options)
    (found,) = logits(loaded, [TOKENS], prompts=[20])
    return found


def _compared(folder: Path, python: str) -> str:
    out = folder / "model.gguf"
    try:
        to_gguf(folder, out)
    except TramontaneError as error:
        return f"not written: {str(error).removeprefix(str(folder))[2:120]}"
    mine, ours = logits_of(folder), logits_of(out)
    told = f"{float((ours - mine).abs().max() / mine.abs().max()):.1e} here"
    try:
        (theirs,), _ = llama_cpp_logits(out, [TOKENS], python=python, timeout=120)
    except NoReference as error:
        return f"{told}, {error}"
    return f"{told}, {float((mine - theirs).abs().max() / theirs.abs().max()):.1e} in llama.cpp"


def main(python: str, *families: str) -> None:
    print("| family | configuration | difference |\n|---|---|---|")
    for family in families or FAMILIES:
        for variant, settings in FAMILIES[family].variants.items():
            with tempfile.TemporaryDirectory() as folder:
                write_folder(family, settings, Path(folder))
                told = _compared(Path(folder), python)
                print(f"| {family} | {variant} | {told} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
