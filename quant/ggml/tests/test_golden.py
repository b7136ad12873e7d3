"""Files that rustformers' tools wrote, against what an independent reader decoded and the logits of
transformers on the weights before they were quantized."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import LLM
from tramontane.errors import NoTokenizer
from tramontane_quant_ggml.container import open_ggml

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden" / "ggml" / "data"
NEEDED = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is not there")


@cache
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
    return found


FILES = sorted(expected()["files"]) if GOLDEN.is_dir() else []
PLAIN = [name for name in FILES if name.endswith("-f16.bin")]
PACKED = [
    name for name in FILES
    if name not in PLAIN and expected()["files"][name]["logits_ctransformers"] is not None
]  # fmt: skip
"""Of those that ctransformers reads."""


@NEEDED
@pytest.mark.parametrize("name", FILES)
def test_every_tensor_decodes_bit_for_bit(name: str) -> None:
    told, checkpoint = expected()["files"][name], open_ggml(GOLDEN / name)
    header = checkpoint.header
    assert header.metadata["family"] == told["arch"]
    assert header.metadata["blocks of generation"] == told["layout"]
    family = checkpoint.file.family
    assert header.tensors.keys() == {family.rename(each) for each in told["tensors"]}
    for each, tensor in told["tensors"].items():
        weight = checkpoint.read(family.rename(each)).decode(torch.float32)
        data = weight.contiguous().numpy().astype("<f4").tobytes()
        assert hashlib.sha256(data).hexdigest() in tensor.values(), each


@NEEDED
@pytest.mark.parametrize("name", PLAIN)
def test_logits_are_those_of_transformers(name: str) -> None:
    told = expected()["files"][name]["logits_transformers_unquantized"]
    with LLM(GOLDEN / name, dtype="f32", activations="f32", threads=1) as llm:
        logits = torch.as_tensor(llm.logits(expected()["ids"]))[-1, : len(told)]
    # four decimals are stored
    torch.testing.assert_close(logits, torch.tensor(told), rtol=1e-4, atol=1e-4)


@NEEDED
@pytest.mark.parametrize("name", PACKED)
def test_packed_weights_are_computed_as_ctransformers_does(name: str) -> None:
    told = expected()["files"][name]["logits_ctransformers"]
    with LLM(GOLDEN / name, dtype="f32", activations="f32", threads=1) as llm:
        logits = torch.as_tensor(llm.logits(expected()["ids"]))[-1, : len(told)]
    # it rounds what is multiplied to 8 bits
    assert float((logits - torch.tensor(told)).norm() / logits.norm()) < 0.03


@NEEDED
def test_a_vocabulary_that_has_lost_texts_is_refused_and_one_beside_it_taken(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes((GOLDEN / "gptneox-f16.bin").read_bytes())
    with pytest.raises(NoTokenizer, match=r"128 of its 288 tokens have lost their text"):
        open_ggml(path).tokenizer()
