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
        name="CohereForCausalLM",
        aliases=("command-r",),
        config="tramontane_arch_cohere.model:CohereConfig",
        model="tramontane_arch_cohere.model:Cohere",
        weights="tramontane_arch_cohere.model:WEIGHTS",
        example=TINY | {"use_qk_norm": True},
    )
    yield Architecture(
        name="Cohere2ForCausalLM",
        aliases=("cohere2",),
        config="tramontane_arch_cohere.model:Cohere2Config",
        model="tramontane_arch_cohere.model:Cohere2",
        weights="tramontane_arch_cohere.model:WEIGHTS",
        example=TINY
        | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    )
