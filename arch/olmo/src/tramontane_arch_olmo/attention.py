"""Attention of all OLMos: norms across all heads of q and of k, and a bound on q, k and v."""

from torch import Tensor
from tramontane.blocks import Attention, RMSNorm, Rope
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.config import DecoderConfig


class OlmoAttention(Attention):
    """normed: whether q and k are normed, each across all its heads. clip: what q, k and v stay
    within, +-clip; None: no bound. The others as for `Attention`."""

    def __init__(
        self,
        cfg: DecoderConfig,
        index: int,
        *,
        rope: Rope,
        window: int | None = None,
        bias: bool,
        normed: bool,
        clip: float | None = None,
    ) -> None:
        super().__init__(cfg, index, rope=rope, window=window, bias=bias, out_bias=bias)
        self.clip = clip
        heads, kv_heads = cfg.num_attention_heads, cfg.num_key_value_heads
        # not q_norm and k_norm, which `Attention` calls with one head after the other
        self.q_norm_wide = RMSNorm(heads * cfg.head_dim, cfg.rms_norm_eps) if normed else None
        self.k_norm_wide = RMSNorm(kv_heads * cfg.head_dim, cfg.rms_norm_eps) if normed else None

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        if self.q_norm_wide is not None and self.k_norm_wide is not None:
            q, k = self.q_norm_wide(q), self.k_norm_wide(k)
        if self.clip is not None:
            q, k, v = (each.clamp(-self.clip, self.clip) for each in (q, k, v))
        return q, k, v


WIDE: list[Rule] = [
    Rename(f"*.self_attn.{part}_norm", f"*.self_attn.{part}_norm_wide") for part in "qk"
]
