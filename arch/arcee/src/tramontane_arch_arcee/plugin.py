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
        name="ArceeForCausalLM",
        aliases=("arcee",),
        config="tramontane_arch_arcee.model:ArceeConfig",
        model="tramontane_arch_arcee.model:Arcee",
        weights="tramontane_arch_arcee.model:WEIGHTS",
        example=TINY,
    )
