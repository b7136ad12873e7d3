"""Recurrences over a sequence's tokens in plain torch: one token after the other, so that where a
prompt is cut changes no bit. For any device, and the reference for kernels.

State tensors are those of `batch.cache.states[index]`: (slots, *shape) float32, one slot for each
sequence. A sequence that begins at position 0 begins with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch, Span

Step: TypeAlias = Callable[..., tuple[Tensor, Tensor]]
"""(state, one row of each input) -> (the state after it, one row of the result)."""


def scan(step: Step, state: Tensor, batch: Batch, *inputs: Tensor) -> Tensor:
    """Take a batch's sequences through a recurrence, each from its own state, token by token.

    step: see `Step`; state has the shape of a slot, float32. inputs: (tokens, ...) each -> (tokens,
    ...), the rows that `step` returned.
    """
    rows = []
    for span in batch.spans:
        now = _before(state, span)
        for row in range(span.start, span.start + span.count):
            now, out = step(now, *(each[row] for each in inputs))
            rows.append(out)
        state[span.slot] = now
    return torch.stack(rows)


def short_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, batch: Batch
) -> Tensor:
    """Each channel's sum over its own sequence's last `width` tokens, times the channel's weights.

    x: (tokens, channels) -> the same shape, float32. weight: (channels, width), the last column for
    the token itself. bias: (channels). state: (slots, width - 1, channels): the inputs of the last
    tokens, the oldest first.
    """
    width, taps = weight.shape[1], weight.float()
    parts = []
    for span in batch.spans:
        rows = x[span.start : span.start + span.count].float()
        seen = torch.cat((_before(state, span), rows))
        # one product after the other: a reduction may add in another order for other lengths
        total = seen[: span.count] * taps[:, 0]
        for tap in range(1, width):
            total = total + seen[tap : tap + span.count] * taps[:, tap]
        parts.append(total if bias is None else total + bias.float())
        state[span.slot] = seen[span.count :]
    return torch.cat(parts)


def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None, state: Tensor,
    batch: Batch, *, tiled: bool = False,
) -> Tensor:  # fmt: skip
    """Linear attention with a state S (d_key, d_value) for each head, that decays:

    S = decay * S; S = S + k ⊗ beta (v - kᵀ S), or S = S + k ⊗ v where beta is None; the result is
    qᵀ S.

    q, k: (tokens, key_heads, d_key), of which each serves the same number of consecutive heads;
    with tiled=True head i belongs to key head i modulo their count. v: (tokens, heads, d_value) ->
    the same shape, float32. decay: (tokens, heads) factors, or (tokens, heads, d_key), one for each
    row of S, or (heads), the same for all tokens. beta: (tokens, heads). state: (slots, heads,
    d_key, d_value).
    """
    decay = decay.expand(v.shape[:2]) if decay.dim() == 1 else decay
    groups = v.shape[1] // k.shape[1]
    heads = torch.arange(v.shape[1], device=v.device)
    of = heads % k.shape[1] if tiled else heads // groups
    q, k = q.float()[:, of], k.float()[:, of]
    decay = decay.float() if decay.dim() == 3 else decay.float()[..., None]
    rate = torch.ones(v.shape[:2]) if beta is None else beta.float()

    def step(
        s: Tensor, q: Tensor, k: Tensor, v: Tensor, f: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        s = s * f[..., None]
        if beta is not None:
            v = (v - (s * k[..., None]).sum(-2)) * b[:, None]
        s = s + k[..., None] * v[:, None]
        return s, (s * q[..., None]).sum(-2)

    return scan(step, state, batch, q, k, v.float(), decay, rate.to(v.device))


def selective_scan(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor, batch: Batch
) -> Tensor:
    """A state S (d_state) for each channel, with a decay of each of its numbers (Gu and Dao 2023):

    S = exp(dt a) * S + dt x b; the result is S · c.

    x, dt: (tokens, channels) -> the same shape, float32. a: (channels, d_state), below zero. b, c:
    (tokens, d_state), which all channels share. state: (slots, d_state, channels).
    """
    rates = a.float().T

    def step(s: Tensor, x: Tensor, dt: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        s = s * torch.exp(dt * rates) + b[:, None] * (dt * x)
        return s, (s * c[:, None]).sum(0)

    return scan(step, state, batch, x.float(), dt.float(), b.float(), c.float())


def _before(state: Tensor, span: Span) -> Tensor:
    """A sequence's state before its tokens in this batch."""
    return torch.zeros_like(state[0]) if span.first else state[span.slot]


def generalized_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, a: Tensor, b: Tensor, state: Tensor,
    batch: Batch,
) -> Tensor:  # fmt: skip
    """RWKV-7's recurrence of a state S (d_key, d_value) for each head (Peng et al. 2025): what S is
    multiplied by is diagonal plus a matrix of rank one,

    S = decay * S + b ⊗ (aᵀ S) + k ⊗ v, where aᵀ S is of S before it decays; the result is qᵀ S.

    q, k, decay, a, b: (tokens, heads, d_key). v: (tokens, heads, d_value) -> the same shape,
    float32. state: (slots, heads, d_key, d_value).
    """

    def step(
        s: Tensor, q: Tensor, k: Tensor, v: Tensor, f: Tensor, a: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        seen = (s * a[..., None]).sum(-2)
        s = s * f[..., None] + b[..., None] * seen[:, None] + k[..., None] * v[:, None]
        return s, (s * q[..., None]).sum(-2)

    return scan(step, state, batch, *(each.float() for each in (q, k, v, decay, a, b)))


def token_shift(x: Tensor, state: Tensor, batch: Batch) -> Tensor:
    """For each token what its sequence's last one had, zeros for the first; (tokens, channels) ->
    the same shape, float32. state: (slots, channels)."""
    parts = []
    for span in batch.spans:
        rows = x[span.start : span.start + span.count].float()
        parts.append(torch.cat((_before(state, span)[None], rows[:-1])))
        state[span.slot] = rows[-1]
    return torch.cat(parts)
