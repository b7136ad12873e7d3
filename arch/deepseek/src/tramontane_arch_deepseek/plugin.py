"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 24,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_group": 4,
    "topk_group": 2,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="DeepseekV2ForCausalLM",
        aliases=("deepseek2",),
        config="tramontane_arch_deepseek.model:DeepseekV2Config",
        model="tramontane_arch_deepseek.model:Deepseek",
        weights="tramontane_arch_deepseek.weights:weights",
        # of V2 there is none, but GGUF files of V3 come by the same name
        next_token="tramontane_arch_deepseek.weights:next_token",
        example=TINY,
    )
    yield Architecture(
        name="DeepseekV3ForCausalLM",
        aliases=("deepseek2",),
        config="tramontane_arch_deepseek.model:DeepseekV3Config",
        model="tramontane_arch_deepseek.model:Deepseek",
        weights="tramontane_arch_deepseek.weights:weights",
        next_token="tramontane_arch_deepseek.weights:next_token",
        example=TINY,
    )
    yield Architecture(
        name="DeepseekV32ForCausalLM",
        config="tramontane_arch_deepseek.sparse:DeepseekV32Config",
        model="tramontane_arch_deepseek.model:Deepseek",
        weights="tramontane_arch_deepseek.weights:weights",
        next_token="tramontane_arch_deepseek.weights:next_token",
        example=TINY,
    )
