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
        name="GPTJForCausalLM",
        config="tramontane_arch_gptj.model:GPTJConfig",
        model="tramontane_arch_gptj.model:GPTJ",
        weights="tramontane_arch_gptj.model:WEIGHTS",
        example=TINY | {"rotary_dim": 4},
    )
