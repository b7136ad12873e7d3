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
        name="ApertusForCausalLM",
        aliases=("apertus",),
        config="tramontane_arch_apertus.model:ApertusConfig",
        model="tramontane_arch_apertus.model:Apertus",
        weights="tramontane_arch_apertus.model:WEIGHTS",
        metadata="tramontane_arch_apertus.model:fields",
        example=TINY,
    )
