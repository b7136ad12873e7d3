"""Cross-attention to an encoded item, an image, say, instead of the prompt's tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tramontane import reference

from .linear import Linear

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class CrossAttention(nn.Module):
    """softmax(q kᵀ scale) v over what an encoder made of the items that a token sees, (tokens,
    hidden) -> (tokens, hidden). Which these are, `tramontane.media.item.Media` says.

    A layer with it asks first whether `batch.cross` is None: then no row of the step sees an item.
    Otherwise all do. Tensors: q_proj, k_proj, v_proj, o_proj as in `Attention`, and those of q_norm
    and k_norm.

    layer: the layer's number. q_norm, k_norm, scale, bias, out_bias: as in `Attention`.
    """

    kernel: Callable[..., Tensor]

    def __init__(
        self,
        cfg: DecoderConfig,
        layer: int,
        *,
        q_norm: nn.Module | None = None,
        k_norm: nn.Module | None = None,
        scale: float | None = None,
        bias: bool = False,
        out_bias: bool = False,
    ) -> None:
        super().__init__()
        hidden, d_head, heads = cfg.hidden_size, cfg.head_dim, cfg.num_attention_heads
        self.layer, self.d_head, self.shared_heads = layer, d_head, cfg.num_key_value_heads
        self.scale = d_head**-0.5 if scale is None else scale
        self.q_proj = Linear(hidden, heads * d_head, bias=bias)
        self.k_proj = Linear(hidden, self.shared_heads * d_head, bias=bias)
        self.v_proj = Linear(hidden, self.shared_heads * d_head, bias=bias)
        self.o_proj = Linear(heads * d_head, hidden, bias=out_bias)
        self.q_norm, self.k_norm = q_norm, k_norm
        self.kernel = reference.attention

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """x: (tokens, hidden), normalized -> (tokens, hidden), to be added to the residual."""
        assert batch.cross is not None
        q = self.q_proj(x).unflatten(-1, (-1, self.d_head))
        if self.q_norm is not None:
            q = self.q_norm(q)
        mixed = batch.cross.attend(self.kernel, q, self.layer, self.scale)
        out: Tensor = self.o_proj(mixed.flatten(-2))
        return out

    def keys_and_values(self, rows: Tensor) -> Tensor:
        """rows: (rows, hidden), of the encoder -> (rows, 2 * kv_heads * d_head): keys, values."""
        keys = self.k_proj(rows).unflatten(-1, (-1, self.d_head))
        if self.k_norm is not None:
            keys = self.k_norm(keys)
        return torch.cat((keys.flatten(-2), self.v_proj(rows)), -1)


def cross_layers(model: nn.Module) -> dict[int, CrossAttention]:
    """The layers' cross-attentions, by their number."""
    found = {each.layer: each for each in model.modules() if isinstance(each, CrossAttention)}
    return dict(sorted(found.items()))
