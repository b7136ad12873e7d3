"""Multi-head latent attention (DeepSeek-AI 2024): the cache has one small vector per token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.config.rope_scaling import Yarn

from .linear import Linear
from .norm import RMSNorm
from .rope import Rope
from .stacked import StackedLinear

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class LatentSizes(Protocol):
    """The numbers of a configuration with latent attention."""

    @property
    def q_lora_rank(self) -> int | None: ...
    @property
    def kv_lora_rank(self) -> int: ...
    @property
    def qk_nope_head_dim(self) -> int: ...
    @property
    def qk_rope_head_dim(self) -> int: ...
    @property
    def v_head_dim(self) -> int: ...


def latent_scale(cfg: DecoderConfig, sizes: LatentSizes) -> float:
    """1 / sqrt(d_head) of `LatentAttention`; with YaRN's `mscale_all_dim`, contexts longer than
    trained make it grow, as DeepSeek has it. Arguments as of the class."""
    scale: float = (sizes.qk_nope_head_dim + sizes.qk_rope_head_dim) ** -0.5
    scaling = cfg.rope_scaling
    if isinstance(scaling, Yarn) and scaling.mscale_all_dim:
        scale *= scaling.mscale_of(scaling.mscale_all_dim) ** 2
    return scale


class LatentAttention(nn.Module):
    """Attention whose cache holds, per token, a latent vector (kv_lora_rank) and a rotated key
    (qk_rope_head_dim), shared by all heads; (tokens, hidden) -> (tokens, hidden).

    Scores are (q_nope W_k) cᵀ + q_rope k_ropeᵀ, and a head's result is W_v (weights c), with c the
    latents: the matrices that would expand keys and values are applied to queries and results.
    sizes: the ranks and head sizes of the configuration, often cfg itself. rope: None: nothing is
    rotated, and the key is still shared. scale: of the scores.
    bias: of the down projections and o_proj.
    """

    kernel: Callable[..., Tensor]
    kv_heads = 1

    def __init__(
        self,
        cfg: DecoderConfig,
        sizes: LatentSizes,
        index: int,
        *,
        rope: Rope | None,
        scale: float,
        bias: bool = False,
    ) -> None:
        super().__init__()
        hidden, heads, rank = cfg.hidden_size, cfg.num_attention_heads, sizes.kv_lora_rank
        self.index, self.heads, self.rope, self.scale = index, heads, rope, scale
        self.nope, self.turned, self.v_dim = (
            sizes.qk_nope_head_dim, sizes.qk_rope_head_dim, sizes.v_head_dim,
        )  # fmt: skip
        self.d_head = self.nope + self.turned
        self.cached = (self.turned, rank)
        if sizes.q_lora_rank is None:
            self.q_proj = Linear(hidden, heads * self.d_head, split="column")
        else:
            self.q_a_proj = Linear(hidden, sizes.q_lora_rank, bias=bias)
            self.q_a_layernorm = RMSNorm(sizes.q_lora_rank, 1e-6)
            self.q_b_proj = Linear(sizes.q_lora_rank, heads * self.d_head, split="column")
        self.compressed = sizes.q_lora_rank is not None
        self.kv_a_proj_with_mqa = Linear(hidden, rank + self.turned, bias=bias)
        self.kv_a_layernorm = RMSNorm(rank, 1e-6)
        self.k_b_proj = StackedLinear(heads, self.nope, rank)
        self.v_b_proj = StackedLinear(heads, rank, self.v_dim)
        self.o_proj = Linear(heads * self.v_dim, hidden, bias=bias, split="row")
        self.kernel = reference.latent_attention

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        if self.compressed:
            q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        else:
            q = self.q_proj(x)
        nope, turned = q.unflatten(-1, (-1, self.d_head)).split([self.nope, self.turned], -1)
        latent, key = self.kv_a_proj_with_mqa(x).split([self.cached[1], self.turned], -1)
        latent, key = self.kv_a_layernorm(latent), key[:, None]
        if self.rope is not None:
            turned, key = self.rope(turned, batch), self.rope(key, batch)
        cache = batch.cache.layers[self.index]
        cache.store(batch.slots, key, latent[:, None])
        asked = self.each_head(self.k_b_proj, nope)
        mixed = self.kernel(asked, turned, cache, batch, self.scale)
        out: Tensor = self.o_proj(self.each_head(self.v_b_proj, mixed).flatten(-2))
        return out

    def each_head(self, matrices: StackedLinear, x: Tensor) -> Tensor:
        """Each head's vectors times its own matrix, (tokens, heads, n_in) -> (tokens, heads,
        n_out)."""
        tokens, heads = x.shape[:2]
        counts = torch.full((heads,), tokens, device=x.device)
        by_head: Tensor = matrices(x.transpose(0, 1).flatten(0, 1), counts)
        out: Tensor = by_head.unflatten(0, (heads, tokens)).transpose(0, 1)
        return out
