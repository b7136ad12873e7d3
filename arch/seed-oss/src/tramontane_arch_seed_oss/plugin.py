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
        name="SeedOssForCausalLM",
        aliases=("seed_oss",),
        config="tramontane_arch_seed_oss.model:SeedConfig",
        model="tramontane_arch_seed_oss.model:Seed",
        weights="tramontane_arch_seed_oss.model:WEIGHTS",
        example=TINY | {"head_dim": 12},
    )
