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
        name="SmolLM3ForCausalLM",
        aliases=("smollm3",),
        config="tramontane_arch_smollm.model:SmolLM3Config",
        model="tramontane_arch_smollm.model:SmolLM3",
        weights="tramontane_arch_smollm.model:WEIGHTS",
        example=TINY | {"no_rope_layer_interval": 2},
    )
