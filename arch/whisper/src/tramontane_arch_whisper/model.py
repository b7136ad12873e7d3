"""Whisper (Radford et al. 2022): an encoder of thirty seconds of sound, and a decoder that writes
what is said, each of whose layers attends to all that the encoder made."""

from collections.abc import Iterator, Mapping

from torch import Tensor
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    MediaLM,
    PositionedLM,
    PreNormLayer,
    layer_norm,
)
from tramontane.blocks.hearing import HearingTower
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.engine.batch import Batch

from .config import WhisperConfig


class WhisperLayer(PreNormLayer):
    """x + attention(norm(x)), x + attention to the sound(norm(x)), then x + mlp(norm(x)); without a
    sound the second is left out. Tensors: as `PreNormLayer`, encoder_attn_layer_norm,
    encoder_attn; no k_proj has a bias."""

    def __init__(self, cfg: WhisperConfig, index: int) -> None:
        hidden = cfg.hidden_size
        attention = Attention(cfg, index, rope=None, bias=True, out_bias=True)
        attention.k_proj = Linear(hidden, hidden)
        super().__init__(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)
        self.encoder_attn_layer_norm: LayerNorm = layer_norm(cfg)
        self.encoder_attn = CrossAttention(cfg, index, bias=True, out_bias=True)
        self.encoder_attn.k_proj = Linear(hidden, hidden)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), batch)
        if batch.cross is not None:
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), batch)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Whisper(MediaLM, PositionedLM):
    Layer = WhisperLayer
    Norm = staticmethod(layer_norm)

    def __init__(self, cfg: WhisperConfig) -> None:
        super().__init__(cfg)
        self.encoder = HearingTower(cfg.audio_config)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        features = arrays["features"]
        yield from self.encoder.steps(features, features.shape[1])


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("proj_out", "lm_head"),
        Rename("model.encoder.*", "encoder.*"),
        Rename("model.decoder.embed_positions", "positions"),
        Rename("model.decoder.layer_norm", "model.norm"),
        Rename("model.decoder.*", "model.*"),
        Rename("model.layers.*.out_proj", "model.layers.*.o_proj"),
        Rename("model.layers.*.self_attn_layer_norm", "model.layers.*.input_layernorm"),
        Rename("model.layers.*.final_layer_norm", "model.layers.*.post_attention_layernorm"),
        Rename("model.layers.*.fc1", "model.layers.*.mlp.up_proj"),
        Rename("model.layers.*.fc2", "model.layers.*.mlp.down_proj"),
    ]
}
