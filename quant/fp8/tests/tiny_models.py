"""Tiny models of several families, as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
EXPERTS = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SMALL,
    "Qwen3Moe": SMALL | EXPERTS,
}
TOKENS = [1, 17, 60, 5, 40, 33, 8, 2]


def saved(family: str, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a random model."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], initializer_range=0.1)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    model.save_pretrained(folder / "saved")
    settings = json.loads((folder / "saved" / "config.json").read_text())
    return settings, load_file(folder / "saved" / "model.safetensors")


def stacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Experts as transformers 5 has them in memory: gate above up, all experts in one tensor."""
    rest = {name: tensor for name, tensor in tensors.items() if ".experts." not in name}
    path = "model.layers.0.mlp.experts"
    count = len(tensors.keys() - rest.keys()) // 3

    def each(name: str) -> list[Tensor]:
        return [tensors[f"{path}.{i}.{name}_proj.weight"] for i in range(count)]

    both = [torch.cat(pair) for pair in zip(each("gate"), each("up"), strict=True)]
    return rest | {
        f"{path}.gate_up_proj": torch.stack(both),
        f"{path}.down_proj": torch.stack(each("down")),
    }
