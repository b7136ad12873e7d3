"""Attention over the paged cache, with grouped key-value heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from tramontane import reference
from tramontane.config import of_layer

from .linear import Linear
from .rope import Rope

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class Attention(nn.Module):
    """softmax(q kᵀ scale) v, (tokens, hidden) -> (tokens, hidden).

    rope None: not rotated. q_norm, k_norm: applied per head, before the rotation. scale None:
    1 / sqrt(head_dim). window: how many tokens back a token sees, itself included. alibi: what each
    head's scores lose per token of distance.
    """

    kernel: Callable[..., Tensor]
    softcap: float | None = None
    """Scores are softcap * tanh(score / softcap); a subclass or its maker sets it."""

    def __init__(
        self,
        cfg: DecoderConfig,
        index: int,
        *,
        rope: Rope | None,
        q_norm: nn.Module | None = None,
        k_norm: nn.Module | None = None,
        scale: float | None = None,
        window: int | None = None,
        alibi: Sequence[float] | None = None,
        bias: bool = False,
        out_bias: bool = False,
    ) -> None:
        super().__init__()
        hidden, d_head = cfg.hidden_size, cfg.head_dim
        heads = of_layer(cfg.num_attention_heads, index)
        kv_heads = of_layer(cfg.num_key_value_heads, index)
        self.index, self.d_head, self.kv_heads = index, d_head, kv_heads
        self.rope, self.window, self.alibi = rope, window, alibi
        self.scale = d_head**-0.5 if scale is None else scale
        self.q_proj = Linear(hidden, heads * d_head, bias=bias, split="out")
        self.k_proj = Linear(hidden, kv_heads * d_head, bias=bias, split="out")
        self.v_proj = Linear(hidden, kv_heads * d_head, bias=bias, split="out")
        self.o_proj = Linear(heads * d_head, hidden, bias=out_bias, split="in")
        self.q_norm, self.k_norm = q_norm, k_norm
        self.kernel = reference.attention

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        per_head = (-1, self.d_head)  # the count of heads comes from the weight
        q, k, v = (each.unflatten(-1, per_head) for each in self.project(x))
        if self.q_norm is not None:
            q = self.q_norm(q)
        if self.k_norm is not None:
            k = self.k_norm(k)
        if self.rope is not None:
            q, k = self.rope(q, batch), self.rope(k, batch)
        cache = batch.cache.layers[self.index]
        cache.store(batch.slots, k, v)
        mixed = self.kernel(q, cache, batch, self.scale, self.window, self.softcap, self.alibi)
        out: Tensor = self.o_proj(mixed.flatten(-2))
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of all heads, (tokens, heads * d_head) each."""
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)
