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


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="GraniteForCausalLM",
        aliases=("granite",),
        config="tramontane_arch_granite.model:GraniteConfig",
        model="tramontane_arch_granite.model:Granite",
        weights="tramontane_arch_granite.model:WEIGHTS",
        example=TINY | {"residual_multiplier": 0.5, "logits_scaling": 2.0},
    )
    yield Architecture(
        name="GraniteMoeForCausalLM",
        aliases=("granitemoe", "GraniteMoeSharedForCausalLM"),
        config="tramontane_arch_granite.model:GraniteMoeConfig",
        model="tramontane_arch_granite.model:GraniteMoe",
        weights="tramontane_arch_granite.model:MOE_WEIGHTS",
        example=TINY | {"num_local_experts": 4, "num_experts_per_tok": 2},
    )
    yield Architecture(
        name="GraniteMoeHybridForCausalLM",
        aliases=("granitehybrid",),
        config="tramontane_arch_granite.granite4:Granite4Config",
        model="tramontane_arch_granite.granite4:Granite4",
        weights="tramontane_arch_granite.granite4:weights_4",
        metadata="tramontane_arch_granite.granite4:metadata",
        example=TINY
        | {
            "num_local_experts": 0,
            "shared_intermediate_size": 48,
            "layer_types": ["mamba", "attention"],
            "position_embedding_type": "rope",
            "mamba_n_heads": 4,
            "mamba_d_state": 16,
        },
    )
