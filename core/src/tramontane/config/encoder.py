"""Configurations of encoders of texts: models whose tokens all see each other."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, model_validator

from .decoder import ModelConfig


class EncoderConfig(ModelConfig):
    """The fields that BERT and its relatives share, also by DistilBERT's and NomicBERT's names. A
    family's class adds its own."""

    vocab_size: int = Field(gt=0, le=2**24, strict=True)
    hidden_size: int = Field(
        gt=0, le=2**16, strict=True, validation_alias=AliasChoices("hidden_size", "dim", "n_embd")
    )
    num_hidden_layers: int = Field(
        gt=0, le=1024, strict=True,
        validation_alias=AliasChoices("num_hidden_layers", "n_layers", "n_layer"),
    )  # fmt: skip
    num_attention_heads: int = Field(
        gt=0, le=2**10, strict=True,
        validation_alias=AliasChoices("num_attention_heads", "n_heads", "n_head"),
    )  # fmt: skip
    intermediate_size: int = Field(
        gt=0, le=2**20, strict=True,
        validation_alias=AliasChoices("intermediate_size", "hidden_dim", "n_inner"),
    )  # fmt: skip
    max_position_embeddings: int = Field(
        default=512, gt=0, le=2**20, strict=True,
        validation_alias=AliasChoices("max_position_embeddings", "n_positions"),
    )  # fmt: skip
    layer_norm_eps: float = Field(
        default=1e-12, gt=0, le=1,
        validation_alias=AliasChoices("layer_norm_eps", "layer_norm_epsilon"),
    )  # fmt: skip
    type_vocab_size: int = Field(default=0, ge=0, le=2**10, strict=True)
    labels: int = Field(default=1, ge=1, le=2**12, strict=True)
    """Numbers that a classifier gives, from `id2label` or `num_labels`."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = {key: value for key, value in values.items() if value is not None}
        names = filled.get("id2label")
        if "num_labels" in filled:
            filled["labels"] = filled["num_labels"]
        elif isinstance(names, dict):
            filled["labels"] = len(names)
        cls.derive(filled)
        return filled

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        """Override to compute fields from others, in place, before anything is validated."""

    @model_validator(mode="after")
    def _divides(self) -> EncoderConfig:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Numbers of each head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def first_position(self) -> int:
        """The position of a text's first token, of models that count from behind the padding's."""
        return 0

    @property
    def most_tokens(self) -> int:
        """The longest text."""
        return self.max_position_embeddings - self.first_position
