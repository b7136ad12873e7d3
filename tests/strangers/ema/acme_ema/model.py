"""A decoder with as many key-value heads as each layer says, whose halves decay."""

from torch import Tensor, nn
from tramontane.blocks import Attention, CausalLM, GatedMLP, RMSNorm, rope_for
from tramontane.checkpoint.rules import Rename
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch


class EmaConfig(DecoderConfig):
    num_key_value_heads: tuple[int, ...]  # type: ignore[assignment]
    decay: float
    gains: tuple[float, ...]


class EmaLayer(nn.Module):
    def __init__(self, cfg: EmaConfig, index: int) -> None:
        super().__init__()
        self.norm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.after = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.self_attn = Attention(cfg, index, rope=rope_for(cfg))
        self.mlp = GatedMLP(cfg)
        self.decay, self.gain = cfg.decay, cfg.gains[index]

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x * self.decay + self.self_attn(self.norm(x), batch)
        return x * self.decay + self.mlp(self.after(x)) * self.gain


class Ema(CausalLM):
    Layer = EmaLayer


WEIGHTS = {
    "gguf": [
        Rename("blk.*.ema_pre", "model.layers.*.norm"),
        Rename("model.layers.*.post_attention_layernorm", "model.layers.*.after"),
    ]
}
