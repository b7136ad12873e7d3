"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "n_layer": 2,
    "n_head": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="BloomForCausalLM",
        aliases=("bloom",),
        config="tramontane_arch_bloom.model:BloomConfig",
        model="tramontane_arch_bloom.model:Bloom",
        weights="tramontane_arch_bloom.model:WEIGHTS",
        example=TINY,
    )
