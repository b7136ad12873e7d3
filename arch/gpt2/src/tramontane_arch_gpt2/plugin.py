"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="GPT2LMHeadModel",
        aliases=("gpt2",),
        config="tramontane_arch_gpt2.model:GPT2Config",
        model="tramontane_arch_gpt2.model:GPT2",
        weights="tramontane_arch_gpt2.model:WEIGHTS",
        example=TINY,
    )
