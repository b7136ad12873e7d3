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
DISTIL = {
    "vocab_size": 64,
    "dim": 32,
    "hidden_dim": 48,
    "n_layers": 2,
    "n_heads": 4,
    "max_position_embeddings": 64,
}
HERE = "tramontane_arch_bert"


def offer(
    name: str, task: str, config: str, model: str, weights: str, **more: object
) -> Architecture:
    """An architecture of this distribution; names of targets without its package."""
    return Architecture(
        name=name,
        task=task,
        config=f"{HERE}.{config}",
        model=f"{HERE}.{model}",
        weights=f"{HERE}.{weights}",
        **{"example": TINY, **more},  # type: ignore[arg-type]
    )


@hookimpl
def architectures() -> Iterator[Architecture]:
    bert = ("model:BertConfig", "model:Bert", "model:WEIGHTS")
    roberta = ("model:RobertaConfig", "model:Bert", "model:WEIGHTS")
    yield offer("BertModel", "embed", *bert, aliases=("BertForMaskedLM", "BertForPreTraining"))
    yield offer(
        "RobertaModel", "embed", *roberta,
        aliases=(
            "RobertaForMaskedLM", "XLMRobertaModel", "XLMRobertaForMaskedLM", "CamembertModel",
            "CamembertForMaskedLM",
        ),
    )  # fmt: skip
    distil = ("model:DistilBertConfig", "model:Bert", "model:DISTIL_WEIGHTS")
    yield offer(
        "DistilBertModel", "embed", *distil, aliases=("DistilBertForMaskedLM",), example=DISTIL
    )
    yield offer(
        "MPNetModel", "embed", "mpnet:MPNetConfig", "mpnet:MPNet", "mpnet:WEIGHTS",
        aliases=("MPNetForMaskedLM",),
    )  # fmt: skip
    ranks = ("model:BertClassifier", "model:CLASSIFIER")
    yield offer("BertForSequenceClassification", "rank", "model:BertConfig", *ranks)
    yield offer(
        "RobertaForSequenceClassification", "rank", "model:RobertaConfig", *ranks,
        aliases=("XLMRobertaForSequenceClassification", "CamembertForSequenceClassification"),
    )  # fmt: skip
    yield offer(
        "DistilBertForSequenceClassification", "rank", "model:DistilBertConfig",
        "model:DistilBertClassifier", "model:DISTIL_WEIGHTS", example=DISTIL,
    )  # fmt: skip
