"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="NomicBertModel",
        task="embed",
        config="tramontane_arch_nomic.model:NomicBertConfig",
        model="tramontane_arch_nomic.model:NomicBert",
        weights="tramontane_arch_nomic.model:WEIGHTS",
        example=TINY,
    )
