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
}
LATENT = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 24,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Glm4ForCausalLM",
        aliases=("glm4",),
        config="tramontane_arch_glm.model:Glm4Config",
        model="tramontane_arch_glm.model:Glm4",
        weights="tramontane_arch_glm.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Glm4MoeForCausalLM",
        aliases=("glm4moe",),
        config="tramontane_arch_glm.experts:Glm4MoeConfig",
        model="tramontane_arch_glm.experts:Glm4Moe",
        weights="tramontane_arch_glm.experts:weights",
        next_token="tramontane_arch_glm.experts:next_token",
        example=TINY
        | {
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "use_qk_norm": True,
        },
    )
    yield Architecture(
        name="Glm4MoeLiteForCausalLM",
        config="tramontane_arch_glm.lite:Glm4MoeLiteConfig",
        model="tramontane_arch_glm.lite:Glm4MoeLite",
        weights="tramontane_arch_glm.lite:weights",
        next_token="tramontane_arch_glm.lite:next_token",
        example=TINY | LATENT,
    )
    yield Architecture(
        name="GlmMoeDsaForCausalLM",
        aliases=("glm-dsa",),
        config="tramontane_arch_glm.dsa:GlmMoeDsaConfig",
        model="tramontane_arch_glm.lite:Glm4MoeLite",
        weights="tramontane_arch_glm.dsa:weights",
        metadata={"glm-dsa.attention.indexer.top_k": "index_topk"},
        example=TINY | LATENT | {"first_k_dense_replace": 1},
    )
