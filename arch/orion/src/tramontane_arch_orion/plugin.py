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
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="OrionForCausalLM",
        aliases=("orion",),
        config="tramontane_arch_orion.model:OrionConfig",
        model="tramontane_arch_orion.model:Orion",
        weights="tramontane_arch_orion.model:WEIGHTS",
        example=TINY,
    )
