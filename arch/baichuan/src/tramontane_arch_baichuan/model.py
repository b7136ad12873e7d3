"""Baichuan 1 and 2: Llama with q, k and v in one matrix.

The 7B rotates queries and keys, the 13B has linear biases (Press et al. 2022). Rows of Baichuan
2's head are divided by their length.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, Field
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    Lengths,
    PreNormLayer,
    alibi_slopes,
    rope_for,
)
from tramontane.checkpoint.length_rules import LengthsOf
from tramontane.checkpoint.rules import Deinterleave, Rule, Skip, Split
from tramontane.config import DecoderConfig

VOCABULARY_2 = 125_696
"""Baichuan 2's; the first models have 64,000 tokens."""


class BaichuanConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    max_position_embeddings: int = Field(
        default=4096,
        gt=0,
        le=2**40,
        validation_alias=AliasChoices("max_position_embeddings", "model_max_length"),
    )
    linear_biases: bool = False
    """The 13B's configurations have no word for it, but call their longest context otherwise."""
    unit_head: bool = False
    """As linear_biases: the vocabulary tells Baichuan 2, and a word that the first have not."""

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        if "model_max_length" in values:
            values.setdefault("linear_biases", "max_position_embeddings" not in values)
        second = "z_loss_weight" in values or values.get("vocab_size") == VOCABULARY_2
        values.setdefault("unit_head", second)

    @property
    def rotary(self) -> bool:
        return not self.linear_biases


def layer(cfg: BaichuanConfig, index: int) -> PreNormLayer:
    slopes = alibi_slopes(cfg.num_attention_heads) if cfg.linear_biases else None
    rope = rope_for(cfg) if cfg.rotary else None
    return PreNormLayer(cfg, Attention(cfg, index, rope=rope, alibi=slopes), GatedMLP(cfg))


class Baichuan(CausalLM):
    Layer = staticmethod(layer)

    def __init__(self, cfg: BaichuanConfig) -> None:
        super().__init__(cfg)
        self.head_lengths = Lengths(cfg.vocab_size) if cfg.unit_head else None

    def logits(self, x: Tensor) -> Tensor:
        out = super().logits(x)
        return out if self.head_lengths is None else self.head_lengths(out)


LENGTHS = LengthsOf("lm_head", "head_lengths", least=1e-12)


def weights(cfg: BaichuanConfig) -> dict[str, list[Rule]]:
    turned: list[Rule] = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
    head: list[Rule] = [LENGTHS] if cfg.unit_head else []
    packed = Split("*.W_pack", ("q_proj", "k_proj", "v_proj"))
    return {"hf": [Skip("*.rotary_emb"), packed, *head], "gguf": [*turned, *head]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """GGUF files do not say which model they are of: 40 layers are the 13B."""
    return {"linear_biases": config.get("num_hidden_layers") == 40}
