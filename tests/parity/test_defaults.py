"""What a configuration means that leaves a key out: the same as in transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import transformers
from tramontane.config import DecoderConfig, LayerNormConfig, read_config
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .families import FAMILIES

CLASSES = {
    "GPT2": "GPT2LMHeadModel",
    "Gemma3Text": "Gemma3ForCausalLM",
    "Qwen3_5Text": "Qwen3_5ForCausalLM",
    "Qwen3_5MoeText": "Qwen3_5MoeForCausalLM",
    "Llama4Text": "Llama4ForCausalLM",
    "Gemma3nText": "Gemma3nForCausalLM",
    "Gemma4Text": "Gemma4ForCausalLM",
    "Gemma4UnifiedText": "Gemma4UnifiedForCausalLM",
}
"""Classes whose models are not called like them."""

SIZES = {
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "moe_intermediate_size",
    "n_routed_experts",
    "num_experts_per_tok",
}
"""Must be told, or follow from others; tensors' shapes refuse wrong ones. Those that are required
are taken from transformers' defaults here."""

FILES = "GGUF files alone say it"
ONE = "theirs has one way only, which is our default"
ELSEWHERE = "compared by layer, below"
BY_LAYER = "theirs tells it by layer, and 512 is what it tells"
NOT_THEIRS = {
    "alibi": ONE,
    "attn_rotary_emb": "of the first checkpoints, beside partial_rotary_factor, which is checked",
    "attention_bias": ONE,
    "attention_out_bias": FILES,
    "attn_type": ONE,
    "attn_type_list": ONE,
    "enable_moe_block": ONE,
    "expert_gating_func": FILES,
    "expansion_ratio": ONE,
    "global_head_dim": BY_LAYER,
    "global_rotary_factor": "nested in theirs, a quarter",
    "global_rotary_stretch": "nested in theirs, none",
    "hidden_act": ONE,
    "hidden_size_per_layer_input": ONE,
    "layer_types": ELSEWHERE,
    "lm_head_bias": ONE,
    "max_window_layers": ELSEWHERE,
    "mla_use_nope": ONE,
    "mlp_bias": ONE,
    "moe_layer_freq": ONE,
    "moe_router_activation_func": ONE,
    "no_rope_layers": ELSEWHERE,
    "normalized": FILES,
    "mixer_rms_eps": "not looked at where there are no norms",
    "num_experts": ONE,
    "num_global_key_value_heads": BY_LAYER,
    "partial_rotary_factor": "theirs has it in rope_parameters, or rotates everything",
    "postnorm": ONE,
    "prefix_lm": ONE,
    "qk_ln": ONE,
    "qk_norm_type": ONE,
    "rope_finetuned": FILES,
    "rope_interleave": ONE,
    "scoring_func": ONE,
    "shared_intermediate_size": "0, as in the class without",
    "sliding_window_pattern": ELSEWHERE,
    "top_k_experts": ONE,
    "topk_method": ONE,
    "xielu_alpha_n": FILES,
    "xielu_alpha_p": FILES,
    "xielu_beta": FILES,
    "use_cla": ONE,
    "use_qk_norm": ONE,
    "use_routing_bias": ONE,
    **dict.fromkeys(
        ("block_auto_adjust_ff_dim", "block_ffn_dim_multiplier", "block_multiple_of"),
        "with experts the width is told as it is",
    ),
    "linear_heads_tiled": FILES,
    "vocab_size_per_layer_input": "not looked at where no layer has vectors of its own",
}
"""Fields that transformers' class may not have, and why ours then is no difference."""

LIMITS = ("granite-4", "falcon-h1", "nemotron-h", "nemotron-h-moe")
ACCEPTED = {
    ("gemma", "hidden_act"): "gelu means its approximation, in both",
    ("bloom", "max_position_embeddings"): "theirs has no limit",
    ("falcon", "num_ln_in_parallel_attn"): "null is 1, and 2 with the new decoder",
    ("deepseek-v2", "n_group"): "null is one group, and not looked at with greedy choice",
    ("deepseek-v2", "topk_group"): "as n_group",
    ("gptj", "partial_rotary_factor"): "theirs is rotary_dim, 64 of 256",
    ("gptj", "rope_theta"): "a constant of theirs, 10,000",
    ("gemma3", "rope_local_base_freq"): "nested in theirs, 10,000",
    ("mamba2", "head_dim"): "of the mixer; there is no attention",
    ("codegen", "partial_rotary_factor"): "theirs is rotary_dim, 64 of 256",
    ("codegen", "rope_theta"): "a constant of theirs, 10,000",
    ("kimi-linear", "head_dim"): "checkpoints say one that is not used, in either",
    ("ernie-moe", "moe_layer_end_index"): "-1 is the last layer, whose number theirs is",
    ("opt", "word_embed_proj_dim"): "null is hidden_size, which theirs has",
    ("opt", "layer_norm_eps"): "a constant of theirs, 1e-5",
    ("xglm", "layer_norm_eps"): "a constant of theirs, 1e-5",
    ("olmo", "layer_norm_eps"): "a constant of theirs, 1e-5",
    ("olmo3", "rope_local_base_freq"): "nested in theirs; null is rope_theta",
    ("llama4", "moe_layers"): "null is what interleave_moe_layer_step says, which theirs is",
    ("gemma3n", "rope_local_base_freq"): "as gemma3",
    ("gemma4", "rope_local_base_freq"): "as gemma3",
    ("gemma4-unified", "rope_local_base_freq"): "as gemma3",
    **{
        (family, "time_step_limit"): "null is no limit, which theirs is"
        for family in (*LIMITS, "mamba2", "bamba", "zamba2")
    },
    **{
        ("qwen3.5-moe", name): "theirs knows no other value"
        for name in ("decoder_sparse_step", "mlp_only_layers", "norm_topk_prob")
    },
    **{
        (family, "mamba_d_head"): "auto is what theirs is computed from"
        for family in ("granite-4", "falcon-h1", "bamba", "zamba2")
    },
    **{
        (family, "max_position_embeddings"): "theirs has no limit"
        for family in ("mamba", "mamba2", "falcon-mamba")
    },
    ("zamba2", "mamba_conv_bias"): "theirs has one, whatever use_conv_bias says",
    ("zamba2", "mamba_proj_bias"): "theirs is add_bias_linear",
    ("gemma4", "partial_rotary_factor"): "of layers with a window, which rotate everything",
    ("gemma4-unified", "partial_rotary_factor"): "as gemma4",
}
"""What differs, and why it may."""


def classes() -> dict[str, type[DecoderConfig]]:
    registry, found = Registry(), {}
    for name, family in FAMILIES.items():
        stem = family.config.removesuffix("Config")
        known = CLASSES.get(stem, f"{stem}ForCausalLM")
        offer = registry.get(Architecture, family.remote.name if family.remote else known)
        found[name] = load(offer.config)
    return found


def theirs_of(family: str, **settings: Any) -> Any:
    config = getattr(transformers, FAMILIES[family].config)(**settings)
    config.allow_global_per_layer_attribute_access = True  # what differs between layers, too
    return config


def told(family: str) -> tuple[Any, DecoderConfig]:
    """transformers' defaults, and what we read of a file that has nothing but sizes."""
    config = classes()[family]
    needed: dict[str, Any] = {"num_experts_per_tok": 2} if family == "deepseek-v2" else {}
    needed |= {"layer_types": ["full_attention"] * 32} if family == "granite-4" else {}
    needed |= {"head_dim": 128} if family == "glm4-moe" else {}
    if family == "dots1":
        needed |= {"n_routed_experts": 128, "num_experts_per_tok": 6, "n_shared_experts": 2}
    theirs = theirs_of(family, **needed)
    said = {**needed}
    for name in SIZES:
        spelled = [name, *(said for said, meant in config.spellings.items() if meant == name)]
        value = next(
            (v for each in spelled if (v := getattr(theirs, each, None)) is not None), None
        )
        if value is not None:
            said[name] = value
    return theirs, read_config(config, said)


def of(theirs: Any, config: type[DecoderConfig], name: str) -> Any:
    """A field of ours in theirs, by any of its spellings; Ellipsis where there is none."""
    field = config.model_fields[name]
    choices = getattr(field.validation_alias, "choices", [])
    names = [name, *(said for said, meant in config.spellings.items() if meant == name), *choices]
    rope = getattr(theirs, "rope_parameters", None) or {}
    inner = getattr(theirs, "attn_config", None)
    for place in (theirs, rope.get("full_attention", rope), inner):
        for each in names:
            if isinstance(place, Mapping):
                if each in place:
                    return place[each]
            elif place is not None and hasattr(place, each):
                return getattr(place, each)
    return ...


OWN = [name for name, family in FAMILIES.items() if family.remote is None]
"""Families that transformers has classes of."""


@pytest.mark.parametrize("family", OWN)
def test_every_field_that_is_left_out(family: str) -> None:
    assert different(family, *told(family)) == {}


def different(
    family: str, theirs: Any, ours: DecoderConfig, *, sizes: bool = False
) -> dict[str, Any]:
    """Fields that have not the same value, with ours and theirs."""
    config, found = type(ours), {}
    left_out = {"rope_scaling", *unused(ours), *(() if sizes else SIZES)}
    for name in config.model_fields.keys() - left_out:
        mine, other = getattr(ours, name), of(theirs, config, name)
        mine = list(mine) if isinstance(mine, tuple) else mine
        if other is ... and (name in SIZES or name in NOT_THEIRS):
            continue
        if other is None and name in SIZES:  # follows from others
            continue
        if NOT_THEIRS.get(name) == ELSEWHERE or (family, name) in ACCEPTED:
            continue
        if mine != other and (mine or other):  # null, 0 and an empty list say the same
            found[name] = (mine, other)
    return found


def unused(ours: DecoderConfig) -> set[str]:
    """Fields that do not count in a configuration."""
    found = set()
    if not ours.rotary:
        found |= {"rope_theta", "partial_rotary_factor"}
    if isinstance(ours, LayerNormConfig):
        found |= {"rms_norm_eps"}
    if not getattr(ours, "use_sliding_window", True):
        found |= {"sliding_window"}
    return found


LAYERED = [name for name in OWN if hasattr(classes()[name], "window")]


@pytest.mark.parametrize("family", LAYERED)
def test_which_layers_slide(family: str) -> None:
    theirs, ours = told(family)
    assert layers_that_slide(ours) == layers_that_slide(theirs)
    if hasattr(theirs, "no_rope_layers"):
        rotated = [ours.rotates(i) for i in range(ours.num_hidden_layers)]  # type: ignore[attr-defined]
        assert rotated == theirs.no_rope_layers


def layers_that_slide(config: Any) -> list[int | None]:
    """Each layer's window, of a configuration of ours or theirs."""
    layers = range(config.num_hidden_layers)
    if isinstance(config, DecoderConfig):
        return [config.window(index) for index in layers]  # type: ignore[attr-defined]
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * len(layers)
    return [config.sliding_window if kind == "sliding_attention" else None for kind in kinds]
