"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="GPTNeoXForCausalLM",
        aliases=("gptneox",),
        config="tramontane_arch_gptneox.model:GPTNeoXConfig",
        model="tramontane_arch_gptneox.model:GPTNeoX",
        weights="tramontane_arch_gptneox.model:WEIGHTS",
        example=TINY,
    )
