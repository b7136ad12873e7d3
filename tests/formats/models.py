"""The tiny models that every format is written from: one for each way to store matrices."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from tests.parity import reference
from tests.parity.families import FAMILIES as RECORDS

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
EXPERT = re.compile(r"(?P<mixture>.*)\.experts\.(?P<number>\d+)\.(?P<name>\w+)")
"""The path of an expert's matrix."""
OTHER_NAMES = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
"""Mixtral's."""


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


@torch.inference_mode()
def logits(made: Source, numbers: Tensors, tokens: Sequence[int]) -> Tensor:
    """transformers' logits, (tokens, vocabulary) float32, of the model with other weights."""
    model = _transformers(made.family, made.config.to_json_string())
    stacked = in_memory(numbers)
    if made.config.tie_word_embeddings:
        stacked["lm_head.weight"] = stacked["model.embed_tokens.weight"]
    model.load_state_dict({name: data.float() for name, data in stacked.items()})
    found: Tensor = reference.prefill(model, tokens)
    return found


def in_memory(tensors: Tensors) -> Tensors:
    """Experts as transformers 5 has them in memory: one tensor of all, gate above up."""
    out, experts = {}, dict[str, dict[tuple[int, str], Tensor]]()
    for name, data in tensors.items():
        if (found := EXPERT.fullmatch(name.removesuffix(".weight"))) is None:
            out[name.replace("block_sparse_moe", "mlp")] = data
            continue
        path = found["mixture"].replace("block_sparse_moe", "mlp")
        own = OTHER_NAMES.get(found["name"], found["name"])
        experts.setdefault(f"{path}.experts", {})[int(found["number"]), own] = data
    for path, each in experts.items():
        numbers = sorted({number for number, _ in each})
        both = [torch.cat((each[i, "gate_proj"], each[i, "up_proj"])) for i in numbers]
        out[f"{path}.gate_up_proj"] = torch.stack(both)
        out[f"{path}.down_proj"] = torch.stack([each[i, "down_proj"] for i in numbers])
    return out


@cache
def _transformers(family: str, config: str) -> Any:
    record = RECORDS[FAMILIES[family][0]]
    settings = getattr(transformers, record.config)(**json.loads(config))
    model = transformers.AutoModelForCausalLM.from_config(
        settings, dtype=torch.float32, attn_implementation=record.attention,
        experts_implementation="eager",
    )  # fmt: skip
    return model.eval()
