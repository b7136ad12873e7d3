"""Sizes that are multiples of nothing that a register holds, for every family.

Three sets: several heads that share keys, many small heads, and one head alone.
"""

from __future__ import annotations

from typing import Any

from . import FAMILIES
from .record import rope

SETS = {"shared": (3, 1, 14, 6), "small": (5, 5, 6, 2), "alone": (1, 1, 22, 6)}
"""Heads, heads of keys and values, numbers in each, how many of them rotate where not all do."""
EXPERTS = {
    "num_local_experts": 5,
    "num_experts": 5,
    "n_routed_experts": 9,
    "moe_intermediate_size": 37,
    "intermediate_size_mlp": 59,
    "shared_expert_intermediate_size": 29,
    "moe_shared_expert_intermediate_size": 29,
    "shared_intermediate_size": 29,
}
LATENT = {
    "kv_lora_rank": 18,
    "q_lora_rank": 26,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 6,
    "v_head_dim": 14,
    "n_group": 3,
    "topk_group": 2,
}


def odd(family: str, name: str, *, gguf: bool = False) -> dict[str, Any]:
    """A family's settings with the sizes of a set; gguf: those that its GGUF files have."""
    heads, kv_heads, d_head, turned = SETS[name]
    heads *= 4 if family == "codegen" else 1  # it has them in four parts
    record = FAMILIES[family]
    variant = next(iter(record.variants.values()))
    if gguf:
        assert record.gguf is not None
        variant = {**variant, **record.gguf.sizes}
    base = {**record.shared, **variant}
    sizes = {
        "vocab_size": 101, "intermediate_size": 83, "head_dim": d_head,
        "hidden_size": heads * d_head, "n_embd": heads * d_head, "d_model": heads * d_head,
        "num_attention_heads": heads, "n_head": heads, "n_heads": heads,
        "num_key_value_heads": heads if "kv_lora_rank" in base else kv_heads,
        "num_kv_heads": kv_heads, "rotary_dim": turned, "linear_num_heads": heads, **EXPERTS,
        **LATENT,
        "vocab_size_per_layer_input": 101, "hidden_size_per_layer_input": 7,
        "global_head_dim": 2 * d_head - 2,
    }  # fmt: skip
    base |= {key: value for key, value in sizes.items() if base.get(key)}
    if base.get("layer_types"):
        base["num_hidden_layers"] = len(base["layer_types"])
    if "mamba_n_heads" in base and "mamba_d_ssm" not in base:
        base |= {"mamba_n_heads": 2, "mamba_d_head": base["hidden_size"]}
    if family == "zamba2":  # which divide twice any of these sizes
        base["n_mamba_heads"] = 2
    if base.get("mamba_num_heads"):  # by themselves: inner size is not a multiple of hidden_size
        base |= {"mamba_num_heads": 6, "mamba_head_dim": 7, "ssm_state_size": 11, "n_groups": 3}
    if gguf and "query_pre_attn_scalar" in base:
        base["query_pre_attn_scalar"] = d_head  # what GGUF files cannot say otherwise
    part = turned / d_head + 0.001
    if family == "gptneox":
        base["rotary_pct"] = part
    elif family == "phi2":
        base |= {"partial_rotary_factor": part, "num_key_value_heads": None}
    elif family in (
        "glm4",
        "glm4-moe",
        "nemotron",
        "stablelm",
        "persimmon",
        "minimax-m2",
        "bailing2",
        "bamba",
    ):
        base |= rope("default", partial_rotary_factor=part)
    if gguf and record.shared is FAMILIES["llama"].shared:
        base["head_dim"] = base.get("qk_rope_head_dim", d_head)
    elif family == "phi2" or "head_dim" not in variant:
        base.pop("head_dim", None)
    if family == "mamba2":  # expand times hidden_size, which is heads times d_head
        base |= {"num_heads": 2 * heads, "head_dim": d_head, "n_groups": heads, "state_size": 11}
    return base
