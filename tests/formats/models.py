"""The tiny models that every format is written from: one for each way to store matrices."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from ..parity import reference
from ..parity.families import FAMILIES as RECORDS
from .record import Source, Tensors

SIZES: dict[str, Any] = {
    "vocab_size": 99, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "max_position_embeddings": 64, "sliding_window": None, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 128}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama", {}),
    "Qwen3": ("qwen3", {"tie_word_embeddings": True}),
    "Phi-3": ("phi3", {}),
    "Mixtral": ("mixtral", {**EXPERTS, "num_local_experts": 3, "intermediate_size": 128}),
    "Qwen3-MoE": ("qwen3-moe", {**EXPERTS, "num_experts": 3, "norm_topk_prob": True}),
}
"""Names to those of tests/parity, and settings. Phi-3 has q, k and v in one matrix, and gate and
up; Qwen3's head is its embedding; the last two have experts, under names of their own."""
MIXTURES = ("Mixtral", "Qwen3-MoE")


def source(family: str, sizes: Mapping[str, Any]) -> Source:
    """A random model, always the same."""
    return _source(family, tuple(sorted(sizes.items())))


@cache
def _source(family: str, sizes: tuple[tuple[str, Any], ...]) -> Source:
    name, own = FAMILIES[family]
    model = reference.random(RECORDS[name], {**SIZES, **own, **dict(sizes)}, 7)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tensors = load_file(Path(folder) / "model.safetensors")
    return Source(family, model.config, tensors)


def computed(made: Source, numbers: Tensors, folder: Path) -> Any:
    """The model in transformers with other weights, in float32."""
    made.config.save_pretrained(folder)
    held = {name: tensor.float().contiguous() for name, tensor in numbers.items()}
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    name = FAMILIES[made.family][0]
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=RECORDS[name].attention,
        experts_implementation="eager",
    )  # fmt: skip
    return model.eval()
