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
        name="NemotronForCausalLM",
        aliases=("nemotron",),
        config="tramontane_arch_nemotron.model:NemotronConfig",
        model="tramontane_arch_nemotron.model:Nemotron",
        weights="tramontane_arch_nemotron.model:WEIGHTS",
        example=TINY,
    )
