"""EmbeddingGemma: Gemma 3 whose tokens all see each other, for vectors of texts."""

import math
from typing import Literal

from torch import Tensor, nn
from tramontane.blocks import GatedMLP, RMSNorm, Rope, TextEncoder, TextLayer, TokenTexts, rope_for
from tramontane.blocks.linear import Linear
from tramontane.checkpoint.rules import Rename, Rule

from .gemma3 import Gemma3Config
from .model import ONE_MORE, TANH


class EmbeddingConfig(Gemma3Config):
    use_bidirectional_attention: Literal[True]  # type: ignore[assignment]  # the decoders refuse it
    attn_logit_softcapping: None = None


class Projections(nn.Module):
    """The matrices of attention, with norms of each head of q and k. Tensors: q_proj, k_proj,
    v_proj, o_proj, q_norm, k_norm."""

    def __init__(self, cfg: EmbeddingConfig) -> None:
        super().__init__()
        hidden, wide = cfg.hidden_size, cfg.num_attention_heads * cfg.head_dim
        shared = cfg.num_key_value_heads * cfg.head_dim
        self.d_head = cfg.head_dim
        self.q_proj = Linear(hidden, wide)
        self.k_proj = Linear(hidden, shared)
        self.v_proj = Linear(hidden, shared)
        self.o_proj = Linear(wide, hidden)
        self.q_norm = RMSNorm(cfg.head_dim, cfg.rms_norm_eps)
        self.k_norm = RMSNorm(cfg.head_dim, cfg.rms_norm_eps)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(rows, hidden) -> queries, keys and values of all heads, (rows, width) each."""
        q = self.q_norm(self.q_proj(x).unflatten(-1, (-1, self.d_head))).flatten(-2)
        k = self.k_norm(self.k_proj(x).unflatten(-1, (-1, self.d_head))).flatten(-2)
        return q, k, self.v_proj(x)


class EmbeddingLayer(TextLayer):
    """A layer of Gemma 3. With a window W, a token sees W // 2 on each side."""

    def __init__(self, cfg: EmbeddingConfig, index: int) -> None:
        window = cfg.window(index)
        super().__init__(
            cfg.head_dim,
            rope=rope_for(cfg) if window is None else Rope(cfg.head_dim, cfg.rope_local_base_freq),
            side=None if window is None else window // 2,
            scale=cfg.query_pre_attn_scalar**-0.5,
        )
        self.self_attn = Projections(cfg)
        self.mlp = GatedMLP(cfg, act=TANH)
        self.input_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.pre_feedforward_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)
        self.post_feedforward_layernorm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = self.self_attn(self.input_layernorm(x))
        return found

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn.o_proj(mixed))
        out: Tensor = x + self.post_feedforward_layernorm(
            self.mlp(self.pre_feedforward_layernorm(x))
        )
        return out


class EmbeddingGemma(TextEncoder):
    def __init__(self, cfg: EmbeddingConfig) -> None:
        super().__init__(
            cfg,
            [EmbeddingLayer(cfg, index) for index in range(cfg.num_hidden_layers)],
            last_norm=RMSNorm(cfg.hidden_size, cfg.rms_norm_eps),
        )

    @property
    def max_tokens(self) -> int:
        return int(self.cfg.max_position_embeddings)

    def embed(self, texts: TokenTexts) -> Tensor:
        return super().embed(texts) * math.sqrt(self.cfg.hidden_size)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        *ONE_MORE,
        Rename("embed_tokens", "model.embed_tokens"),
        Rename("layers.*", "model.layers.*"),
        Rename("norm", "last_norm"),
    ]
}
