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
        name="OlmoForCausalLM",
        aliases=("olmo",),
        config="tramontane_arch_olmo.model:OlmoConfig",
        model="tramontane_arch_olmo.model:Olmo",
        weights="tramontane_arch_olmo.model:WEIGHTS",
        example=TINY | {"clip_qkv": 0.5},
    )
    yield Architecture(
        name="Olmo2ForCausalLM",
        config="tramontane_arch_olmo.olmo2:Olmo2Config",
        model="tramontane_arch_olmo.olmo2:Olmo2",
        weights="tramontane_arch_olmo.olmo2:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="Olmo3ForCausalLM",
        aliases=("olmo2",),  # GGUF files of both are called so
        config="tramontane_arch_olmo.olmo2:Olmo3Config",
        model="tramontane_arch_olmo.olmo2:Olmo2",
        weights="tramontane_arch_olmo.olmo2:WEIGHTS",
        example=TINY
        | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    )
    yield Architecture(
        name="OlmoeForCausalLM",
        aliases=("olmoe",),
        config="tramontane_arch_olmo.experts:OlmoeConfig",
        model="tramontane_arch_olmo.experts:Olmoe",
        weights="tramontane_arch_olmo.experts:WEIGHTS",
        example=TINY | {"num_experts": 4, "num_experts_per_tok": 2},
    )
