"""What recurrent layers keep of the tokens so far, and how it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tramontane import recurrence

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class ShortConv(nn.Module):
    """A causal convolution of each channel by itself, over a sequence's last `width` tokens,
    (tokens, channels) -> (tokens, channels).

    Tensors: weight (channels, width), the last column for the token itself, and with bias=True bias
    (channels). Checkpoints' (channels, 1, width) is the same. State: `name` (width - 1, channels).

    index: the number of the layer. name: of the state; a layer's states have different ones.
    """

    kernel: Callable[..., Tensor]

    def __init__(
        self, channels: int, width: int, index: int, *, bias: bool = False, name: str = "conv"
    ) -> None:
        super().__init__()
        self.index, self.name = index, name
        self.states = {name: (width - 1, channels)}
        self.weight = nn.Parameter(torch.empty(channels, width), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(channels), requires_grad=False) if bias else None
        self.kernel = recurrence.short_conv

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """x: (tokens, channels) -> the same shape and dtype."""
        state = batch.cache.states[self.index][self.name]
        return self.kernel(x, self.weight, self.bias, state, batch).to(x.dtype)


class DeltaRule(nn.Module):
    """Linear attention with a state S (d_key, d_value) for each head (Schlag et al. 2021, Yang et
    al. 2024): S decays, then S = S + k ⊗ beta (v - kᵀ S), and the result is qᵀ S. Without beta, S =
    S + k ⊗ v: that is Mamba-2's recurrence too, with C, B, dt * x and exp(dt * A) for q, k, v and
    decay. See `tramontane.recurrence.delta_rule`.

    No tensors. State: `name` (heads, d_key, d_value). index: the number of the layer. tiled: how
    keys are shared, see `forward`.
    """

    kernel: Callable[..., Tensor]

    def __init__(
        self,
        heads: int,
        d_key: int,
        d_value: int,
        index: int,
        *,
        name: str = "recurrent",
        tiled: bool = False,
    ) -> None:
        super().__init__()
        self.index, self.name, self.tiled = index, name, tiled
        self.states = {name: (heads, d_key, d_value)}
        self.kernel = recurrence.delta_rule

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None, batch: Batch
    ) -> Tensor:
        """q, k: (tokens, key_heads, d_key), where each serves heads / key_heads consecutive heads;
        with tiled=True head i belongs to key head i modulo their count. v: (tokens, heads, d_value)
        -> the same shape, float32. decay: (tokens, heads) factors of S, or (tokens, heads, d_key),
        a factor for each row of S, or (heads), the same for all tokens, made of no input. beta:
        (tokens, heads) or None."""
        state = batch.cache.states[self.index][self.name]
        return self.kernel(q, k, v, decay, beta, state, batch, tiled=self.tiled)


class SelectiveScan(nn.Module):
    """Mamba's recurrence (Gu and Dao 2023): each channel has a state S (d_state), each number of
    which decays by itself, S = exp(dt a) * S + dt x b, and the result is S · c. See
    `tramontane.recurrence.selective_scan`.

    No tensors. State: `name` (d_state, channels). index: the number of the layer.
    """

    kernel: Callable[..., Tensor]

    def __init__(self, channels: int, d_state: int, index: int, *, name: str = "recurrent") -> None:
        super().__init__()
        self.index, self.name = index, name
        self.states = {name: (d_state, channels)}
        self.kernel = recurrence.selective_scan

    def forward(
        self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, batch: Batch
    ) -> Tensor:
        """x, dt: (tokens, channels) -> the same shape, float32. a: (channels, d_state), below zero,
        made of weights alone. b, c: (tokens, d_state)."""
        state = batch.cache.states[self.index][self.name]
        return self.kernel(x, dt, a, b, c, state, batch)


class TokenShift(nn.Module):
    """What a sequence's last token had, in place of what this one has: (tokens, channels) -> the
    same shape and dtype; zeros for the first token. RWKV mixes the two in each of its halves.

    No tensors. State: `name` (channels). index: the number of the layer.
    """

    kernel: Callable[..., Tensor]

    def __init__(self, channels: int, index: int, *, name: str = "shift") -> None:
        super().__init__()
        self.index, self.name = index, name
        self.states = {name: (channels,)}
        self.kernel = recurrence.token_shift

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        state = batch.cache.states[self.index][self.name]
        return self.kernel(x, state, batch).to(x.dtype)


class GeneralizedDeltaRule(nn.Module):
    """RWKV-7's state S (d_key, d_value) for each head (Peng et al. 2025): S = decay * S + b ⊗ (aᵀ
    S) + k ⊗ v, and the result is qᵀ S. See `tramontane.recurrence.generalized_delta_rule`.

    No tensors. State: `name` (heads, d_key, d_value). index: the number of the layer.
    """

    kernel: Callable[..., Tensor]

    def __init__(
        self, heads: int, d_key: int, d_value: int, index: int, *, name: str = "recurrent"
    ) -> None:
        super().__init__()
        self.index, self.name = index, name
        self.states = {name: (heads, d_key, d_value)}
        self.kernel = recurrence.generalized_delta_rule

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, decay: Tensor, a: Tensor, b: Tensor, batch: Batch
    ) -> Tensor:
        """q, k, a, b: (tokens, heads, d_key). decay: (tokens, heads, d_key), a factor for each row
        of S. v: (tokens, heads, d_value) -> the same shape, float32."""
        state = batch.cache.states[self.index][self.name]
        return self.kernel(q, k, v, decay, a, b, state, batch)
