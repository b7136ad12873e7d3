"""The same tiny random model in transformers, saved for us to load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from .families import FAMILIES
from .families.record import Family
from .plain import PlainConfig

PLACED = ("bamba", "minimax")
"""Models that count a cached step's positions from 0 where none are given; MiniMax where its first
layer keeps no keys."""


def make(family: str, variant: str, folder: Path) -> Any:
    """A random model, saved in `folder`; norms and biases are not left at one and zero."""
    record = FAMILIES[family]
    settings = {**record.shared, **record.variants[variant]}
    model = random(record, settings, sum(map(ord, family + variant)))
    save(record, model, folder)
    return model


def save(record: Family, model: Any, folder: Path) -> None:
    """Save a model as checkpoints of its family are."""
    model.save_pretrained(folder)
    if (remote := record.remote) is None:
        return
    file, weights = folder / "config.json", folder / "model.safetensors"
    told = json.loads(file.read_text("utf-8"))
    save_file(remote.tensors(load_file(weights), told), weights)
    told = remote.config(told) | {"architectures": [remote.name]}
    file.write_text(json.dumps(told), "utf-8")


def random(record: Family, settings: dict[str, Any], seed: int) -> Any:
    """A model of a configuration, in float32."""
    if record.remote is not None:
        settings = record.remote.settings(settings)
    named = PlainConfig if record.config == "PlainConfig" else getattr(transformers, record.config)
    config = named(**settings)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(
        config,
        attn_implementation=record.attention,
        experts_implementation="eager",  # the others want sizes that registers hold
    )
    buffers = {n: b for n, b in model.named_buffers() if "correction" in n or "scalar" in n}
    with torch.no_grad():
        for name, parameter in [*model.named_parameters(), *buffers.items()]:
            if (("norm" in name or "ln_" in name) and name.endswith("weight")) or "scalar" in name:
                parameter.normal_(1.0, 0.2)
            else:
                parameter.normal_(0.0, 0.15)
    return model.eval()


def forget(model: Any) -> None:
    """Length-dependent rotations keep what a longer call left behind; begin as a new model does."""
    for module in model.modules():
        if hasattr(module, "original_inv_freq") and hasattr(module, "max_seq_len_cached"):
            module.inv_freq = module.original_inv_freq.clone()
            module.max_seq_len_cached = module.original_max_seq_len


@torch.inference_mode()
def prefill(model: Any, tokens: Sequence[int]) -> Tensor:
    """Logits (length, vocabulary) of one sequence, computed at once."""
    forget(model)
    out: Tensor = model(torch.tensor([list(tokens)]), use_cache=False).logits[0]
    return out


@torch.inference_mode()
def decode(model: Any, tokens: Sequence[int], prompt: int) -> Tensor:
    """The same, the tokens after the prompt fed one by one with transformers' own cache."""
    forget(model)
    out = model(torch.tensor([list(tokens[:prompt])]), use_cache=True)
    word = "cache_params" if hasattr(out, "cache_params") else "past_key_values"
    rows = [out.logits[0]]
    for place, token in enumerate(tokens[prompt:], prompt):
        told: dict[str, Any] = {word: getattr(out, word)}
        if model.config.model_type in PLACED:
            told |= {"position_ids": torch.tensor([[place]])}
        out = model(torch.tensor([[token]]), use_cache=True, **told)
        rows.append(out.logits[0])
    return torch.cat(rows)


@torch.inference_mode()
def greedy(model: Any, tokens: Sequence[int], count: int) -> list[int]:
    """Greedy continuation, ids; end tokens do not end it."""
    forget(model)
    model.generation_config.eos_token_id = None
    out = model.generate(
        torch.tensor([list(tokens)]),
        attention_mask=torch.ones(1, len(tokens), dtype=torch.int64),
        max_new_tokens=count,
        do_sample=False,
    )
    return out[0, len(tokens) :].tolist()  # type: ignore[no-any-return]
