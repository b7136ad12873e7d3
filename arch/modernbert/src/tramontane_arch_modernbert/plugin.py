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
    "local_attention": 8,
    "global_attn_every_n_layers": 2,
}


@hookimpl
def architectures() -> Iterator[Architecture]:
    config = "tramontane_arch_modernbert.model:ModernBertConfig"
    yield Architecture(
        name="ModernBertModel",
        aliases=("ModernBertForMaskedLM",),
        task="embed",
        config=config,
        model="tramontane_arch_modernbert.model:ModernBert",
        weights="tramontane_arch_modernbert.model:WEIGHTS",
        example=TINY,
    )
    yield Architecture(
        name="ModernBertForSequenceClassification",
        task="rank",
        config=config,
        model="tramontane_arch_modernbert.model:ModernBertClassifier",
        weights="tramontane_arch_modernbert.model:CLASSIFIER",
        example=TINY,
    )
