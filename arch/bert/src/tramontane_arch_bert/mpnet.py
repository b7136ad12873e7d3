"""MPNet (Song et al. 2020): BERT with biases of scores by distance, which all layers share."""

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from tramontane.blocks import ACTIVATIONS, LayerNorm, PostNormTextLayer, TextEncoder, TokenTexts
from tramontane.blocks.embedding import Embedding
from tramontane.blocks.task_model import device_of
from tramontane.checkpoint.rules import Rename, Skip

from .model import EMBEDDINGS, LAYER, RobertaConfig

FARTHEST = 128
"""The distance from which on all are in one bucket."""


class MPNetConfig(RobertaConfig):
    type_vocab_size: int = Field(default=0, ge=0, le=0)
    layer_norm_eps: float = Field(default=1e-12, gt=0, le=1)
    relative_attention_num_buckets: int = Field(default=32, ge=4, le=2**12, strict=True)


def buckets_of(behind: Tensor, count: int) -> Tensor:
    """The bucket of each distance, as in T5 (Raffel et al. 2020). behind: how far what is seen lies
    before what sees it. count: buckets, half of them for what lies after it; half of each half is a
    bucket of its own for each distance, and the rest grow up to FARTHEST."""
    half = count // 2
    exact = half // 2
    far = behind.abs()
    large = torch.log(far.clamp_min(1).float() / exact) / math.log(FARTHEST / exact)
    larger = (exact + (large * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(far < exact, far, larger) + (behind < 0).long() * half


class MPNetLayer(PostNormTextLayer):
    biases: Any = None

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, texts: TokenTexts) -> Tensor:
        attend = self.attend
        out: Tensor = attend.kernel(q, k, v, texts.lengths, scale=attend.scale, bias=self.biases)
        return out


class MPNet(TextEncoder):
    """Tensors: as of BERT, and relative_attention_bias (buckets, heads)."""

    def __init__(self, cfg: MPNetConfig) -> None:
        act = ACTIVATIONS[cfg.hidden_act]
        layers = [MPNetLayer(cfg, act=act) for _ in range(cfg.num_hidden_layers)]
        super().__init__(
            cfg,
            layers,
            positions=cfg.max_position_embeddings,
            embed_norm=LayerNorm(cfg.hidden_size, cfg.layer_norm_eps),
        )
        self.relative_attention_bias = Embedding(
            cfg.relative_attention_num_buckets, cfg.num_attention_heads
        )
        for layer in layers:
            layer.biases = self.biases

    def biases(self, length: int) -> Tensor:
        """What scores change by: (heads, length, length)."""
        at = torch.arange(length)
        buckets = buckets_of(at[:, None] - at, self.cfg.relative_attention_num_buckets)
        found: Tensor = self.relative_attention_bias(buckets.flatten().to(device_of(self)))
        out: Tensor = found.unflatten(0, (length, length)).permute(2, 0, 1)
        return out


WEIGHTS = {
    "hf": [
        Rename("mpnet.*", "*"),
        Skip("pooler.*"),
        Skip("lm_head.*"),
        *EMBEDDINGS,
        Rename("encoder.relative_attention_bias", "relative_attention_bias"),
        Rename("encoder.layer.*.attention.attn.q", f"{LAYER}.self_attn.q_proj"),
        Rename("encoder.layer.*.attention.attn.k", f"{LAYER}.self_attn.k_proj"),
        Rename("encoder.layer.*.attention.attn.v", f"{LAYER}.self_attn.v_proj"),
        Rename("encoder.layer.*.attention.attn.o", f"{LAYER}.self_attn.o_proj"),
        Rename("encoder.layer.*.attention.LayerNorm", f"{LAYER}.attn_norm"),
        Rename("encoder.layer.*.intermediate.dense", f"{LAYER}.mlp.up_proj"),
        Rename("encoder.layer.*.output.dense", f"{LAYER}.mlp.down_proj"),
        Rename("encoder.layer.*.output.LayerNorm", f"{LAYER}.mlp_norm"),
    ]
}
