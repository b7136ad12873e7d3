"""Llama 3.2 Vision: Llama, with layers in between that attend to the image that a token sees."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from tramontane.blocks import (
    Attention,
    CrossAttention,
    GatedMLP,
    Linear,
    MediaLM,
    PreNormLayer,
    RMSNorm,
    rms_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.engine.batch import Batch

from .mllama_config import MllamaConfig
from .mllama_tower import TileTower, gate


class GatedCrossLayer(nn.Module):
    """x + tanh(gate) * attention(norm(x)), then x + tanh(gate) * mlp(norm(x)); x itself where
    tokens see no image. Tensors: input_layernorm, cross_attn, cross_attn_attn_gate,
    post_attention_layernorm, mlp, cross_attn_mlp_gate."""

    def __init__(self, cfg: MllamaConfig, index: int) -> None:
        super().__init__()
        norms = (RMSNorm(cfg.head_dim, cfg.rms_norm_eps) for _ in range(2))
        self.input_layernorm = rms_norm(cfg)
        self.cross_attn = CrossAttention(cfg, index, q_norm=next(norms), k_norm=next(norms))
        self.cross_attn_attn_gate = gate()
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = GatedMLP(cfg)
        self.cross_attn_mlp_gate = gate()

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        if batch.cross is None:
            return x
        seen = self.cross_attn(self.input_layernorm(x), batch)
        x = x + torch.tanh(self.cross_attn_attn_gate) * seen
        out: Tensor = x + torch.tanh(self.cross_attn_mlp_gate) * self.mlp(
            self.post_attention_layernorm(x)
        )
        return out


def layer(cfg: MllamaConfig, index: int) -> nn.Module:
    if index in cfg.cross_attention_layers:
        return GatedCrossLayer(cfg, index)
    return PreNormLayer(cfg, Attention(cfg, index, rope=rope_for(cfg)), GatedMLP(cfg))


class Mllama(MediaLM):
    Layer = staticmethod(layer)

    def __init__(self, cfg: MllamaConfig) -> None:
        super().__init__(cfg)
        self.vision_model = TileTower(cfg.vision_config)
        wide = cfg.vision_config.vision_output_dim
        self.multi_modal_projector = Linear(wide, cfg.hidden_size, bias=True)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        for x in self.vision_model.steps(arrays["tiles"], int(arrays["way"])):
            yield x if x is None else self.multi_modal_projector(x)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.vision_model.*", "vision_model.*"),
        Rename("model.multi_modal_projector", "multi_modal_projector"),
        Rename("model.language_model.*", "model.*"),
        Rename("language_model.*", "*"),
    ]
}
