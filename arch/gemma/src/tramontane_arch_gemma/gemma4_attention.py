"""Gemma 4's attention: scores not scaled, normalized values, other layers' keys and values."""

from torch import Tensor
from tramontane.blocks import Attention, HeadNorm, RMSNorm, Rope, SharedAttention
from tramontane.config.rope_scaling import Factors

from .gemma4_config import Gemma4Config, LayeredConfig

STILL = 1e30
"""Divides the frequencies of pairs that are not rotated, as in GGUF files."""


def rotation(cfg: Gemma4Config, index: int) -> Rope:
    d_head, _ = cfg.heads_of(index)
    if cfg.window(index) is not None:
        return Rope(d_head, cfg.rope_local_base_freq)
    turned = int(cfg.global_rotary_factor * d_head // 2)
    divisors = [cfg.global_rotary_stretch] * turned + [STILL] * (d_head // 2 - turned)
    return Rope(d_head, cfg.rope_theta, Factors(rope_type="factors", factors=tuple(divisors)))


class OwnAttention(Attention):
    """Attention with normalized values, which are the keys where there is no v_proj."""

    def __init__(self, cfg: LayeredConfig, index: int, rope: Rope) -> None:
        d_head, kv_heads = cfg.heads_of(index)
        sizes = cfg.model_copy(update={"head_dim": d_head, "num_key_value_heads": kv_heads})
        norms = [RMSNorm(d_head, cfg.rms_norm_eps) for _ in "qk"]
        window = cfg.window(index)
        super().__init__(
            sizes, index, rope=rope, q_norm=norms[0], k_norm=norms[1], scale=1.0, window=window
        )
        self.v_norm = HeadNorm(d_head, cfg.rms_norm_eps, weighted=False)
        if cfg.keys_are_values(index):
            del self.v_proj

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.k_proj(x)
        v = self.v_proj(x) if hasattr(self, "v_proj") else k
        normal: Tensor = self.v_norm(v.unflatten(-1, (-1, self.d_head)))
        return self.q_proj(x), k, normal.flatten(-2)


def attention(cfg: LayeredConfig, index: int, rope: Rope) -> Attention:
    kept = cfg.keeps(index)
    if kept == index:
        return OwnAttention(cfg, index, rope)
    d_head, kv_heads = cfg.heads_of(index)
    sizes = cfg.model_copy(update={"head_dim": d_head, "num_key_value_heads": kv_heads})
    norm, window = RMSNorm(d_head, cfg.rms_norm_eps), cfg.window(index)
    return SharedAttention(sizes, kept, rope=rope, q_norm=norm, scale=1.0, window=window)
