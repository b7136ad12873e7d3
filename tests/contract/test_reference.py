"""Every family of ours computes on the CPU backend what transformers does, from safetensors."""

from __future__ import annotations

import os

import pytest
import torch
import transformers
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.tasks.task import in_engine
from tramontane.testing.compare import compare

APART = "KimiLinearForCausalLM"
"""Of its tiny example the reference's cache cannot be made: held to it in tests/parity."""
CLASSES = set(dir(transformers)) - {APART}
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
NAMES = (
    "Bloom", "Cohere2", "DeepseekV3", "Falcon", "Gemma2", "Gemma3n", "GptOss", "GraniteMoeHybrid",
    "Jamba", "Lfm2", "Llama", "Mamba2", "Mixtral", "Olmo2", "Phi3", "Qwen3", "Qwen3Next",
)  # fmt: skip
SOME = {f"{name}ForCausalLM" for name in NAMES}
"""Of every kind of block some; tests/parity holds all families to transformers, by other ways."""
OFFERS = [
    offer for offer in filter(in_engine, Registry().all(Architecture))
    if offer.name in CLASSES and offer.media is None
    and (FULL or offer.name in SOME)
]  # fmt: skip
"""Those that write text and that transformers has a class of; the others, and images, are held to
other references in tests/parity, tests/media and the tests of their tasks."""
BOUNDS = {
    # GELU by another formula, in values that a norm then makes large
    "Gemma4": 4e-5,
    # states, which carry what rounds elsewhere in chunks of 64 on to all tokens behind
    **dict.fromkeys(("Qwen3Next", "Qwen3_5", "Qwen3_5Moe", "Zamba2"), 4e-5),
}


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.name)
def test_the_example_is_equal_on_the_cpu_backend(offer: Architecture) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bound = BOUNDS.get(offer.name.partition("For")[0].removesuffix("Unified"), 1e-5)
        assert compare(offer, device="cpu").difference < bound
    finally:
        torch.set_num_threads(threads)
