"""A tiny Llama as files on disk, made to order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 24,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
}


@cache
def tensors() -> dict[str, Tensor]:
    """By name, random but always the same."""
    make = torch.Generator().manual_seed(5)
    shapes = {"model.embed_tokens.weight": (24, 16), "lm_head.weight": (24, 16)}
    for layer in range(2):
        rows = {"q": 16, "k": 8, "v": 8, "o": 16}
        path = f"model.layers.{layer}"
        shapes |= {f"{path}.self_attn.{n}_proj.weight": (r, 16) for n, r in rows.items()}
        shapes |= {f"{path}.mlp.{n}_proj.weight": (24, 16) for n in ("gate", "up")}
        shapes |= {f"{path}.mlp.down_proj.weight": (16, 24)}
    named = {name: torch.randn(shape, generator=make) for name, shape in shapes.items()}
    norms = ["model.norm", *(f"model.layers.{i}.{n}_layernorm" for i in range(2)
                             for n in ("input", "post_attention"))]  # fmt: skip
    return named | {f"{name}.weight": torch.ones(16) for name in norms}


def write_folder(
    folder: Path,
    config: Mapping[str, Any] = CONFIG,
    *,
    weights: Mapping[str, Tensor] | None = None,
    name: str | None = None,
    ending: str = "safetensors",
    shards: int = 1,
    indexed: bool = False,
    dtype: torch.dtype | None = torch.float32,
    scale: float = 1,
    zipped: bool = True,
) -> Path:
    """A folder with config.json and weights; returns it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    chosen = weights or tensors()
    # None: each tensor as it is
    named = {n: t if dtype is None else (t * scale).to(dtype) for n, t in chosen.items()}
    whole = "model" if ending == "safetensors" else "pytorch_model"
    if shards == 1:
        _save(named, folder / (name or f"{whole}.{ending}"), zipped)
        return folder
    table: dict[str, str] = {}
    for shard in range(shards):
        file = f"{whole}-{shard + 1:05}-of-{shards:05}.{ending}"
        part = dict(list(named.items())[shard::shards])
        _save(part, folder / file, zipped)
        table |= dict.fromkeys(part, file)
    if indexed:
        index = {"metadata": {}, "weight_map": table}
        (folder / f"{whole}.{ending}.index.json").write_text(json.dumps(index))
    return folder


def _save(named: dict[str, Tensor], path: Path, zipped: bool) -> None:
    if path.suffix == ".safetensors":
        save_file(named, path)
    else:
        torch.save(named, path, _use_new_zipfile_serialization=zipped)
