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
    "layer_types": ["conv", "full_attention"],
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="Lfm2ForCausalLM",
        aliases=("lfm2",),
        config="tramontane_arch_lfm.model:LfmConfig",
        model="tramontane_arch_lfm.model:Lfm",
        weights="tramontane_arch_lfm.weights:WEIGHTS",
        metadata="tramontane_arch_lfm.weights:metadata",
        example=TINY | {"block_multiple_of": 8},
    )
    yield Architecture(
        name="Lfm2MoeForCausalLM",
        aliases=("lfm2moe",),
        config="tramontane_arch_lfm.model:LfmMoeConfig",
        model="tramontane_arch_lfm.model:LfmMoe",
        weights="tramontane_arch_lfm.weights:WEIGHTS",
        metadata="tramontane_arch_lfm.weights:metadata",
        example=TINY
        | {
            "num_dense_layers": 1,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
        },
    )
    yield Architecture(
        name="Lfm2VlForConditionalGeneration",
        config="tramontane_arch_lfm.vision:LfmVisionConfig",
        model="tramontane_arch_lfm.vision:LfmVision",
        weights="tramontane_arch_lfm.vision:WEIGHTS",
        media="tramontane_arch_lfm.images:LfmImages",
        example=TINY
        | {
            "block_multiple_of": 8,
            "projector_hidden_size": 24,
            "vision_config": {
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_patches": 16,
            },
        },
    )
