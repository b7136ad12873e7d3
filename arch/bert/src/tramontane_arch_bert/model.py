"""BERT (Devlin et al. 2018), RoBERTa, XLM-R and DistilBERT: learned positions, norms behind each
half of a layer. The last two differ from BERT in names and in what position comes first."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Gelu, LayerNorm, PostNormTextLayer, TextEncoder
from tramontane.blocks.linear import Linear
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.config.encoder import EncoderConfig


class BertConfig(EncoderConfig):
    type_vocab_size: int = Field(default=2, ge=0, le=2**10, strict=True)
    hidden_act: Gelu | Literal["relu", "silu"] = Field(
        default="gelu", validation_alias=AliasChoices("hidden_act", "activation")
    )
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False


class RobertaConfig(BertConfig):
    pad_token_id: int = Field(default=1, ge=0, le=2**24)
    layer_norm_eps: float = Field(default=1e-5, gt=0, le=1)

    @property
    def first_position(self) -> int:
        return self.pad_token_id + 1


class DistilBertConfig(BertConfig):
    type_vocab_size: int = Field(default=0, ge=0, le=0)


class Bert(TextEncoder):
    def __init__(self, cfg: BertConfig) -> None:
        act = ACTIVATIONS[cfg.hidden_act]
        super().__init__(
            cfg,
            [PostNormTextLayer(cfg, act=act) for _ in range(cfg.num_hidden_layers)],
            positions=cfg.max_position_embeddings,
            kinds=cfg.type_vocab_size,
            embed_norm=LayerNorm(cfg.hidden_size, cfg.layer_norm_eps),
        )


class FirstTokenHead(nn.Module):
    """out(act(dense(x))) of each text's first row. Tensors: dense (hidden, hidden), out (labels,
    hidden), with biases."""

    def __init__(self, cfg: EncoderConfig, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.act = act
        self.dense = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
        self.out = Linear(cfg.hidden_size, cfg.labels, bias=True)

    def forward(self, rows: Tensor, lengths: Sequence[int]) -> Tensor:
        starts = torch.tensor([0, *lengths[:-1]]).cumsum(0)
        out: Tensor = self.out(self.act(self.dense(rows[starts])))
        return out


class BertClassifier(Bert):
    act: ClassVar[Any] = staticmethod(torch.tanh)

    def __init__(self, cfg: BertConfig) -> None:
        super().__init__(cfg)
        self.head = FirstTokenHead(cfg, type(self).act)


class DistilBertClassifier(BertClassifier):
    act = staticmethod(torch.relu)


LAYER = "model.layers.*"
EMBEDDINGS: list[Rule] = [
    Rename("*LayerNorm.gamma", "*LayerNorm.weight"),  # of TensorFlow's checkpoints
    Rename("*LayerNorm.beta", "*LayerNorm.bias"),
    Skip("embeddings.position_ids"),
    Rename("embeddings.word_embeddings", "model.embed_tokens"),
    Rename("embeddings.position_embeddings", "positions"),
    Rename("embeddings.token_type_embeddings", "kinds"),
    Rename("embeddings.LayerNorm", "embed_norm"),
]
LAYERS: list[Rule] = [
    Rename("encoder.layer.*.attention.self.query", f"{LAYER}.self_attn.q_proj"),
    Rename("encoder.layer.*.attention.self.key", f"{LAYER}.self_attn.k_proj"),
    Rename("encoder.layer.*.attention.self.value", f"{LAYER}.self_attn.v_proj"),
    Rename("encoder.layer.*.attention.output.dense", f"{LAYER}.self_attn.o_proj"),
    Rename("encoder.layer.*.attention.output.LayerNorm", f"{LAYER}.attn_norm"),
    Rename("encoder.layer.*.intermediate.dense", f"{LAYER}.mlp.up_proj"),
    Rename("encoder.layer.*.output.dense", f"{LAYER}.mlp.down_proj"),
    Rename("encoder.layer.*.output.LayerNorm", f"{LAYER}.mlp_norm"),
]
PREFIXES: list[Rule] = [Rename("bert.*", "*"), Rename("roberta.*", "*")]
BERT = [*PREFIXES, Skip("pooler.*"), Skip("cls.*"), Skip("lm_head.*"), *EMBEDDINGS, *LAYERS]
WEIGHTS = {"hf": BERT}
CLASSIFIER = {
    "hf": [
        *PREFIXES,
        Rename("pooler.dense", "head.dense"),
        Rename("classifier", "head.out"),
        Rename("classifier.dense", "head.dense"),
        Rename("classifier.out_proj", "head.out"),
        *EMBEDDINGS,
        *LAYERS,
    ]
}
DISTIL = [
    Rename("distilbert.*", "*"),
    Skip("vocab_*"),
    *EMBEDDINGS,
    Rename("transformer.layer.*.attention.q_lin", f"{LAYER}.self_attn.q_proj"),
    Rename("transformer.layer.*.attention.k_lin", f"{LAYER}.self_attn.k_proj"),
    Rename("transformer.layer.*.attention.v_lin", f"{LAYER}.self_attn.v_proj"),
    Rename("transformer.layer.*.attention.out_lin", f"{LAYER}.self_attn.o_proj"),
    Rename("transformer.layer.*.sa_layer_norm", f"{LAYER}.attn_norm"),
    Rename("transformer.layer.*.ffn.lin1", f"{LAYER}.mlp.up_proj"),
    Rename("transformer.layer.*.ffn.lin2", f"{LAYER}.mlp.down_proj"),
    Rename("transformer.layer.*.output_layer_norm", f"{LAYER}.mlp_norm"),
    Rename("pre_classifier", "head.dense"),
    Rename("classifier", "head.out"),
]
DISTIL_WEIGHTS = {"hf": DISTIL}
