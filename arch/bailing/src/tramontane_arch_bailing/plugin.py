"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "moe_intermediate_size": 24,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_shared_experts": 2,
    "norm_topk_prob": True,
}
GROUPS = {
    "head_dim": 16,
    "first_k_dense_replace": 1,
    "num_shared_experts": 1,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
    "partial_rotary_factor": 0.5,
    "use_qk_norm": True,
    "moe_router_enable_expert_bias": True,
    "score_function": "sigmoid",
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="BailingMoeForCausalLM",
        aliases=("bailingmoe",),
        config="tramontane_arch_bailing.model:BailingConfig",
        model="tramontane_arch_bailing.model:Bailing",
        weights="tramontane_arch_bailing.model:weights",
        example=TINY,
    )
    yield Architecture(
        name="BailingMoeV2ForCausalLM",
        aliases=("bailingmoe2",),
        config="tramontane_arch_bailing.model:Bailing2Config",
        model="tramontane_arch_bailing.model:Bailing2",
        weights="tramontane_arch_bailing.model:weights_2",
        example=TINY | GROUPS,
    )
