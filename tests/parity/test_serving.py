"""Families through the engine: many at once, a beginning shared, pages in any order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor as Threads
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Type
from tramontane import LLM, SamplingParams
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file
from .forward import greedy

BEGINNING = [(5 * i + 2) % 90 for i in range(33)]
PROMPTS = [[*BEGINNING, 7, 8], [*BEGINNING, 9], [3, 4, 5], BEGINNING[:20]]
FAMILIES = ["gemma2", "mpt", "gpt2", "qwen2-moe", "deepseek-v3"]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_each_alone(family: str, device: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    gguf_file.pair(family, Type.Q8_0, path)
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32", dtype="f32")
    loaded = load_model(open_checkpoint(path, registry), registry, options)
    expected = [greedy(loaded, prompt, 6) for prompt in PROMPTS]
    params = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
    told: dict[str, Any] = {"device": device, "num_ctx": 64, "activations": "f32", "dtype": "f32"}
    with LLM(path, kv_tokens=256, max_seqs=3, batch_size=16, **told) as llm, Threads(4) as threads:
        for _ in range(2):  # the second time the cache knows the beginnings
            answers = threads.map(lambda prompt: llm.generate(prompt, params), PROMPTS)
            assert [list(answer.token_ids) for answer in answers] == expected
