"""Attention over the paged cache, with grouped key-value heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.config import of_layer

from .linear import Linear
from .rope import Rope

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class Attention(nn.Module):
    """softmax(q kᵀ scale) v over the paged cache, (tokens, hidden) -> (tokens, hidden).

    Grouped-query where num_key_value_heads is less than num_attention_heads. Tensors: q_proj (heads
    * d_head, hidden), k_proj and v_proj (kv_heads * d_head, hidden), o_proj (hidden, heads *
    d_head), and those of q_norm and k_norm where they are given, below these names.

    index: the layer's number, whose cache it uses. rope: the rotation; None: not rotated. q_norm,
    k_norm: modules called with q (tokens, heads, d_head) and k (tokens, kv_heads, d_head), before
    the rotation, which return the same shape. scale: None means 1 / sqrt(d_head). window: tokens
    that a token sees, itself included; None: all. alibi: (heads) what each head's scores lose per
    token of distance. bias: of q_proj, k_proj and v_proj; out_bias: of o_proj. gate: whether
    sigmoid(gate_proj x) multiplies what o_proj reads; gate_proj (heads * d_head, hidden).
    """

    kernel: Callable[..., Tensor]
    softcap: float | None = None
    """Scores become softcap * tanh(score / softcap); None: no cap. Set it after construction."""
    mutual: bool = False
    """Whether `kernel` knows rows that see later ones, `Span.mutual`; a backend says so."""
    sinks: nn.Parameter | None
    """(heads) attention sinks: each head's softmax has one more score, sinks[head], of no token:
    that share of the weights goes to no value. None: no sinks. Set it after construction, to
    `nn.Parameter(torch.empty(heads), requires_grad=False)`; its tensor is `sinks`."""
    chunk: int | None = None
    """A token sees the tokens of its own chunk of so many, up to itself: chunks begin at multiples
    of it (Llama 4). None: no chunks. Set it after construction, without a window."""

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
        gate: bool = False,
    ) -> None:
        super().__init__()
        hidden, d_head = cfg.hidden_size, cfg.head_dim
        heads = of_layer(cfg.num_attention_heads, index)
        kv_heads = of_layer(cfg.num_key_value_heads, index)
        self.index, self.d_head, self.kv_heads = index, d_head, kv_heads
        self.heads = heads
        self.rope, self.window, self.alibi = rope, window, alibi
        self.scale = d_head**-0.5 if scale is None else scale
        self.q_proj = Linear(hidden, heads * d_head, bias=bias, split="column")
        self.k_proj = Linear(hidden, kv_heads * d_head, bias=bias, split="column")
        self.v_proj = Linear(hidden, kv_heads * d_head, bias=bias, split="column")
        self.o_proj = Linear(heads * d_head, hidden, bias=out_bias, split="row")
        self.gate_proj: Linear | None = None
        if gate:
            self.gate_proj = Linear(hidden, heads * d_head, bias=bias, split="column")
        self.q_norm, self.k_norm = q_norm, k_norm
        self.kernel = reference.attention
        self.cache_scales = (1.0, 1.0)
        """What keys and values are divided by before a cache of 8-bit floats rounds them."""
        self.register_parameter("sinks", None)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """x: (tokens, hidden), normalized -> (tokens, hidden), to be added to the residual."""
        per_head = (-1, self.d_head)  # the count of heads comes from the weight
        q, k, v = (each.unflatten(-1, per_head) for each in self.project(x))
        if self.q_norm is not None:
            q = self.q_norm(q)
        if self.k_norm is not None:
            k = self.k_norm(k)
        if self.rope is not None:
            q, k = self.rope(q, batch), self.rope(k, batch)
        self.keep(k, v, batch)
        gate = None if self.gate_proj is None else torch.sigmoid(self.gate_proj(x))
        return self.mix(q, batch, gate)

    def keep(self, k: Tensor, v: Tensor, batch: Batch) -> None:
        """Store k and v: (tokens, kv_heads, d_head), normalized and rotated."""
        of_keys, of_values = self.cache_scales
        k = k if of_keys == 1.0 else k / of_keys
        v = v if of_values == 1.0 else v / of_values
        batch.cache.layers[self.index].store(batch.slots, k, v)

    def mix(self, q: Tensor, batch: Batch, gate: Tensor | None = None) -> Tensor:
        """q: (tokens, heads, d_head), normalized and rotated -> (tokens, hidden): what its scores
        make of the stored values. gate: (tokens, heads * d_head) factors of what o_proj reads."""
        of_keys, of_values = self.cache_scales
        options = (self.scale * of_keys, self.window, self.softcap, self.alibi)
        # backends written before there were sinks and chunks have kernels without them
        more: dict[str, Any] = {} if self.sinks is None else {"sinks": self.sinks}
        if self.chunk is not None:
            more["chunk"] = self.chunk
        known = self.mutual or not batch.mutual
        kernel: Callable[..., Tensor] = self.kernel if known else reference.attention
        mixed = kernel(q, batch.cache.layers[self.index], batch, *options, **more).flatten(-2)
        if of_values != 1.0:
            mixed = mixed * of_values
        if gate is not None:
            mixed = mixed * gate
        out: Tensor = self.o_proj(mixed)
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (tokens, hidden) -> q (tokens, heads * d_head), k and v (tokens, kv_heads * d_head).
        Override it for norms or scales across all heads."""
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)


class SharedAttention(Attention):
    """`Attention` over the keys and values that an earlier layer has stored for these tokens, with
    queries of its own; (tokens, hidden) -> (tokens, hidden).

    index: that layer's number; window, heads and sizes are that layer's. Tensors: q_proj, o_proj,
    and those of q_norm.
    """

    def __init__(
        self,
        cfg: DecoderConfig,
        index: int,
        *,
        rope: Rope | None,
        q_norm: nn.Module | None = None,
        scale: float | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__(cfg, index, rope=rope, q_norm=q_norm, scale=scale, window=window)
        del self.k_proj, self.v_proj

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q = self.q_proj(x).unflatten(-1, (-1, self.d_head))
        if self.q_norm is not None:
            q = self.q_norm(q)
        if self.rope is not None:
            q = self.rope(q, batch)
        return self.mix(q, batch)
