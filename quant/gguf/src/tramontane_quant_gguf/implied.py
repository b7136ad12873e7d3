"""What a GGUF file means by a key that it does not have, in config.json's words.

A configuration class has transformers' defaults; a file that leaves a key out means llama.cpp's,
and some things no key says. Source: llama.cpp's loader, `load_hparams` and each architecture's
`load_arch_hparams`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Config = Mapping[str, Any]


def implied(architecture: str, config: Config) -> dict[str, Any]:
    """The words that a file leaves out. config: those that it has."""
    found: dict[str, Any] = {"rope_theta": 10_000.0}
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    if isinstance(heads, int) and isinstance(hidden, int) and 0 < heads <= hidden:
        found["head_dim"] = hidden // heads
    more = IMPLIED.get(architecture)
    if more is not None:
        found |= more({**found, **config})
    return {word: value for word, value in found.items() if word not in config}


def gemma2(config: Config) -> dict[str, Any]:
    """The 27B models scale scores by the average size of a head, others by the real one."""
    average = config.get("num_hidden_layers") in (46, 62)
    scalar = config.get("head_dim")
    if average and "head_dim" in config:
        scalar = config["hidden_size"] // config["num_attention_heads"]
    return {} if scalar is None else {"query_pre_attn_scalar": scalar}


def gemma3(config: Config) -> dict[str, Any]:
    """Without a window, all layers see everything and rotate alike."""
    pattern = {} if "sliding_window" in config else {"sliding_window_pattern": 1}
    return gemma2(config) | pattern


def gemma4(config: Config) -> dict[str, Any]:
    """Logits are capped, also where no key says so."""
    return {"final_logit_softcapping": 30.0}


def gemma3n(config: Config) -> dict[str, Any]:
    """Every fifth layer sees everything, and the first twenty have keys and values."""
    found: dict[str, Any] = {"rope_theta": 1_000_000.0, "final_logit_softcapping": 30.0}
    if isinstance(layers := config.get("num_hidden_layers"), int):
        found["num_kv_shared_layers"] = max(0, layers - 20)
    return found


def granite(config: Config) -> dict[str, Any]:
    """Scores are scaled as everywhere where no multiplier is told."""
    size = config.get("head_dim")
    return {} if size is None else {"attention_multiplier": 1 / math.sqrt(size)}


def qwen2moe(config: Config) -> dict[str, Any]:
    """The first files do not have the sizes of experts."""
    wide, used = config.get("intermediate_size"), config.get("num_experts_per_tok")
    if not isinstance(wide, int) or not isinstance(used, int) or used <= 0:
        return {}
    return {"moe_intermediate_size": wide // used, "shared_expert_intermediate_size": wide}


def qwen3moe(config: Config) -> dict[str, Any]:
    return qwen2moe(config) | {"norm_topk_prob": True}


def deepseek2(config: Config) -> dict[str, Any]:
    groups = config.get("n_group", 1)
    method = "greedy" if groups == 1 else "group_limited_greedy"
    return {"q_lora_rank": None, "topk_method": method}


def olmo2(config: Config) -> dict[str, Any]:
    """OLMo 2 and 3 by one name: the former have no window."""
    return {"sliding_window": None}


def exaone4(config: Config) -> dict[str, Any]:
    """The first files of the 32B do not have its window."""
    return {"sliding_window": 4096 if config.get("num_hidden_layers") == 64 else None}


IMPLIED: Mapping[str, Callable[[Config], dict[str, Any]]] = MappingProxyType(
    {
        "gemma2": gemma2,
        "gemma3": gemma3,
        "gemma3n": gemma3n,
        "gemma4": gemma4,
        "granite": granite,
        "granitemoe": granite,
        "granitehybrid": granite,
        "qwen2moe": qwen2moe,
        "qwen3moe": qwen3moe,
        "deepseek2": deepseek2,
        "olmo2": olmo2,
        "exaone4": exaone4,
    }
)
"""By `general.architecture`; any other has nothing of its own."""
