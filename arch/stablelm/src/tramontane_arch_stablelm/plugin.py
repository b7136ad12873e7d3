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
        name="StableLmForCausalLM",
        aliases=("stablelm",),
        config="tramontane_arch_stablelm.model:StableLmConfig",
        model="tramontane_arch_stablelm.model:StableLm",
        weights="tramontane_arch_stablelm.model:WEIGHTS",
        example=TINY | {"qk_layernorm": True, "use_parallel_residual": True},
    )
