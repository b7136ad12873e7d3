"""The same tiny random model in transformers, saved for us to load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from .families import FAMILIES, SHARED


def make(family: str, variant: str, folder: Path) -> Any:
    """A random model, saved in `folder`; norms and biases are not left at one and zero."""
    record = FAMILIES[family]
    config_class = getattr(transformers, record.config)
    config = config_class(**{**SHARED, **record.variants[variant]})
    torch.manual_seed(sum(map(ord, family + variant)))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.2)
            else:
                parameter.normal_(0.0, 0.15)
    model.eval()
    model.save_pretrained(folder)
    return model


def forget(model: Any) -> None:
    """Length-dependent rotations keep what a longer call left behind; begin as a new model does."""
    rotary = model.model.rotary_emb
    rotary.inv_freq = rotary.original_inv_freq.clone()
    rotary.max_seq_len_cached = rotary.original_max_seq_len


@torch.inference_mode()
def prefill(model: Any, tokens: Sequence[int]) -> Tensor:
    """Logits (length, vocabulary) of one sequence, computed at once."""
    forget(model)
    out: Tensor = model(torch.tensor([list(tokens)])).logits[0]
    return out


@torch.inference_mode()
def decode(model: Any, tokens: Sequence[int], prompt: int) -> Tensor:
    """The same, the tokens after the prompt fed one by one with transformers' own cache."""
    forget(model)
    out = model(torch.tensor([list(tokens[:prompt])]), use_cache=True)
    rows, cache = [out.logits[0]], out.past_key_values
    for token in tokens[prompt:]:
        out = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
        rows.append(out.logits[0])
        cache = out.past_key_values
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
