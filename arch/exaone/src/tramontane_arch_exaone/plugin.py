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
        name="Exaone4ForCausalLM",
        aliases=("exaone4",),
        config="tramontane_arch_exaone.model:ExaoneConfig",
        model="tramontane_arch_exaone.model:Exaone",
        weights="tramontane_arch_exaone.model:WEIGHTS",
        example=TINY
        | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    )
