"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "moe_intermediate_size": 24,
    "num_experts": 4,
    "num_experts_per_token": 2,
    "first_k_dense_replace": 1,
    "linear_attn_config": {
        "full_attn_layers": [2],
        "kda_layers": [1],
        "head_dim": 8,
        "num_heads": 4,
        "short_conv_kernel_size": 4,
    },
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="KimiLinearForCausalLM",
        aliases=("kimi_linear", "kimi-linear"),
        config="tramontane_arch_kimi_linear.config:KimiLinearConfig",
        model="tramontane_arch_kimi_linear.model:KimiLinear",
        weights="tramontane_arch_kimi_linear.weights:weights",
        metadata="tramontane_arch_kimi_linear.weights:metadata",
        example=TINY,
    )
