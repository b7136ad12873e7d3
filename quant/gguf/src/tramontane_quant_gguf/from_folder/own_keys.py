"""Keys of single families, of fields that `config.WORDS` has no word for.

Each function takes a family's configuration and returns what lies below the family's name. Raises
ValueError for what llama.cpp computes otherwise, or does not load.
"""

from __future__ import annotations

from typing import Any


def mamba2(cfg: Any) -> dict[str, Any]:
    return {
        "ssm.conv_kernel": cfg.mamba_d_conv,
        "ssm.state_size": cfg.mamba_d_state,
        "ssm.group_count": cfg.mamba_n_groups,
        "ssm.inner_size": cfg.inner,
        "ssm.time_step_rank": cfg.mamba_n_heads,
    }


def granite_hybrid(cfg: Any) -> dict[str, Any]:
    return mamba2(cfg) | heads_where(cfg, "attention")


def heads_where(cfg: Any, attends: str) -> dict[str, Any]:
    """Heads of keys by layer: layers without any are of the other kind."""
    heads = cfg.num_key_value_heads
    return {"attention.head_count_kv": [heads * (kind == attends) for kind in cfg.layer_types]}


def lfm2(cfg: Any) -> dict[str, Any]:
    sizes = {"shortconv.l_cache": cfg.conv_L_cache, "feed_forward_length": cfg.wide}
    return sizes | heads_where(cfg, "full_attention")


def lfm2_moe(cfg: Any) -> dict[str, Any]:
    return lfm2(cfg) | {
        "feed_forward_length": cfg.intermediate_size,
        "leading_dense_block_count": cfg.num_dense_layers,
        "expert_gating_func": 2,
    }


def delta_net(cfg: Any) -> dict[str, Any]:
    if cfg.linear_key_head_dim != cfg.linear_value_head_dim:
        raise ValueError(
            "llama.cpp has one size for heads of keys and of values in layers with a state, and "
            f"they are {cfg.linear_key_head_dim} and {cfg.linear_value_head_dim}"
        )
    kinds = cfg.layer_types
    interval = kinds.index("full_attention") + 1 if "full_attention" in kinds else len(kinds) + 1
    return {
        "ssm.conv_kernel": cfg.linear_conv_kernel_dim,
        "ssm.state_size": cfg.linear_key_head_dim,
        "ssm.group_count": cfg.linear_num_key_heads,
        "ssm.time_step_rank": cfg.linear_num_value_heads,
        "ssm.inner_size": cfg.linear_num_value_heads * cfg.linear_value_head_dim,
        "full_attention_interval": interval,
    }


def sectioned_delta_net(cfg: Any) -> dict[str, Any]:
    """Which of a position's three numbers rotate which pairs; of text the three are one number."""
    pairs = int(cfg.head_dim * cfg.partial_rotary_factor) // 2
    third = pairs // 3
    sections = [pairs - 2 * third, third, third, 0]
    return delta_net(cfg) | {"rope.dimension_sections": sections}


def ernie_moe(cfg: Any) -> dict[str, Any]:
    if cfg.moe_layer_interval != 1:
        raise ValueError(
            "llama.cpp loads experts of every layer behind the first dense ones, and "
            f"moe_layer_interval is {cfg.moe_layer_interval}"
        )
    count = cfg.moe_num_shared_experts
    shared = {"expert_shared_feed_forward_length": count * cfg.moe_intermediate_size}
    return {"expert_shared_count": count, **(shared if count else {})}


def first_dense(cfg: Any) -> dict[str, Any]:
    """How many layers are dense before the first that is not, where each layer says it."""
    if not hasattr(cfg, "mlp_layer_types"):
        return {}
    kinds = (*cfg.mlp_layer_types, "sparse")
    return {"leading_dense_block_count": kinds.index("sparse")}


def command_r(cfg: Any) -> dict[str, Any]:
    if cfg.use_qk_norm != (cfg.num_hidden_layers >= 64):
        raise ValueError(
            f"llama.cpp norms heads of q and k in models of 64 layers and more, and in no others; "
            f"use_qk_norm is {cfg.use_qk_norm} with {cfg.num_hidden_layers} layers"
        )
    return {}


def equal_parts(cfg: Any) -> dict[str, Any]:
    """Heads are equal parts of the hidden size."""
    if cfg.head_dim * cfg.num_attention_heads != cfg.hidden_size:
        raise ValueError(
            "llama.cpp knows heads of hidden_size / num_attention_heads numbers alone, and "
            f"head_dim is {cfg.head_dim}"
        )
    return {}


def exaone4(cfg: Any) -> dict[str, Any]:
    equal_parts(cfg)
    if any(cfg.window(layer) is not None for layer in range(cfg.num_hidden_layers)) != (
        cfg.num_hidden_layers == 64
    ):
        raise ValueError(
            "llama.cpp has windows in models of 64 layers, and in no others; sliding_window is "
            f"{cfg.sliding_window} with {cfg.num_hidden_layers} layers"
        )
    return {}


def dots1(cfg: Any) -> dict[str, Any]:
    if cfg.num_key_value_heads != cfg.num_attention_heads:
        raise ValueError(
            f"llama.cpp knows as many heads of keys as of queries alone, and there are "
            f"{cfg.num_key_value_heads} and {cfg.num_attention_heads}"
        )
    return {}


def hunyuan_moe(cfg: Any) -> dict[str, Any]:
    wide = cfg.intermediate_size
    return {"expert_feed_forward_length": wide, "expert_shared_feed_forward_length": wide}


def experts_as_wide(cfg: Any) -> dict[str, Any]:
    return {"expert_feed_forward_length": cfg.intermediate_size}


def growing(cfg: Any) -> dict[str, Any]:
    return {"attention.temperature_scale": cfg.llama_4_scaling_beta}


def gemma4(cfg: Any) -> dict[str, Any]:
    layers = range(cfg.num_hidden_layers)
    heads = [cfg.heads_of(layer) for layer in layers]
    first = cfg.num_hidden_layers - cfg.num_kv_shared_layers
    if cfg.num_kv_shared_layers and tuple(cfg.layer_types[first - 2 : first]) != (
        "sliding_attention", "full_attention"
    ):  # fmt: skip
        raise ValueError(
            "llama.cpp shares keys and values of the two layers before the first that has none, "
            "which have to be one with a window and one without"
        )
    keys = {
        "attention.head_count_kv": [kv_heads for _, kv_heads in heads],
        "attention.key_length": cfg.global_head_dim,
        "attention.value_length": cfg.global_head_dim,
        "attention.key_length_swa": cfg.head_dim,
        "attention.value_length_swa": cfg.head_dim,
        "attention.shared_kv_layers": cfg.num_kv_shared_layers,
        "embedding_length_per_layer_input": cfg.hidden_size_per_layer_input,
        "rope.dimension_count": cfg.global_head_dim,
        "rope.dimension_count_swa": cfg.head_dim,
        "final_logit_softcapping": float(cfg.final_logit_softcapping or 0.0),
    }
    if cfg.use_double_wide_mlp:
        keys["feed_forward_length"] = [
            cfg.intermediate_size * (1 + (layer >= first)) for layer in layers
        ]
    if cfg.enable_moe_block:
        keys["expert_count"] = cfg.num_experts
        keys["expert_used_count"] = cfg.top_k_experts
        keys["expert_feed_forward_length"] = cfg.moe_intermediate_size
    return keys
