"""The kernels of `Attention` and `LatentAttention`, as functions of a cache and a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import CodedCache, FloatCache8, LayerCache
from tramontane.engine.kv_codes import INT4
from tramontane.layouts.float_tables import float_table

from .kernel_call import KINDS, Kernels
from .plan import plan_of

SPLIT = 512
"""Tokens of a split, a multiple of a page's 16; results depend on it."""
FEW = 16
"""Tokens of a batch up to which splits are work groups of their own."""
FLOATS, FLOATS8, CODES8 = range(3)
TABLES = {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}


def is_read(cache: LayerCache) -> bool:
    """Whether the kernels read a cache of this kind."""
    return not isinstance(cache, CodedCache) or cache.stored != INT4


@dataclass
class Attend:
    """A drop-in for `reference.attention`. split: see SPLIT."""

    kernels: Kernels
    split: int = SPLIT
    _tables: dict[Any, Tensor] = field(default_factory=dict)

    def __call__(
        self,
        q: Tensor,
        cache: LayerCache,
        batch: Batch,
        scale: float,
        window: int | None,
        softcap: float | None = None,
        alibi: Sequence[float] | None = None,
        sinks: Tensor | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        if not is_read(cache):
            more = (softcap, alibi, sinks, chunk)
            return reference.attention(q, cache, batch, scale, window, *more)
        options = {"window": window, "cap": softcap, "alibi": alibi, "chunk": chunk}
        return self._run(q, None, cache, batch, scale, sinks, options)

    def latents(
        self, asked: Tensor, turned: Tensor, cache: LayerCache, batch: Batch, scale: float
    ) -> Tensor:
        """A drop-in for `reference.latent_attention`."""
        if not is_read(cache):
            return reference.latent_attention(asked, turned, cache, batch, scale)
        return self._run(turned, asked, cache, batch, scale, None, {})

    def _table(self, key: Any, numbers: Any, device: torch.device) -> Tensor:
        if (key, device) not in self._tables:
            made = numbers() if callable(numbers) else torch.tensor(numbers, dtype=torch.float32)
            self._tables[key, device] = made.to(device)
        return self._tables[key, device]

    def _run(
        self, q: Tensor, asked: Tensor | None, cache: LayerCache, batch: Batch, scale: float,
        sinks: Tensor | None, options: dict[str, Any],
    ) -> Tensor:  # fmt: skip
        q = cache.queries(q).contiguous()
        asked = q if asked is None else asked.contiguous()
        latent = asked is not q
        tokens, heads, d = q.shape
        d_value, device, plan = cache.d_value, q.device, plan_of(batch)
        out = q.new_empty(tokens, heads, d_value)
        alibi, cap = options.get("alibi"), options.get("cap")
        slopes = q if alibi is None else self._table(tuple(alibi), alibi, device)
        least = q
        if sinks is not None:
            known = sinks
            least = self._table(("sinks", id(known)), lambda: known.float(), device)
        kind, table, key_scales, value_scales = FLOATS, q, q, q
        scale_steps = [0] * 4
        if isinstance(cache, FloatCache8):
            kind = FLOATS8
            table = self._table(cache.stored, lambda: float_table(TABLES[cache.stored]), device)
        elif isinstance(cache, CodedCache):
            kind, key_scales, value_scales = CODES8, cache.key_scales, cache.value_scales
            scale_steps = [s for each in (key_scales, value_scales) for s in each.stride()[:2]]
        steps = [s for each in (cache.keys, cache.values) for s in each.stride()[:2]]
        splits = -(-plan.longest // self.split)
        apart = splits > 1 and tokens <= FEW
        constants = dict(HEADS=heads, DV=d_value, SINKS=sinks is not None, X=KINDS[q.dtype])
        tops = weights = totals = q
        if apart:
            size = (splits, tokens, heads)
            tops, weights = (q.new_empty(size, dtype=torch.float32) for _ in range(2))
            totals = q.new_empty((*size, d_value), dtype=torch.float32)
        self.kernels.run(
            "attention", (tokens, heads, splits if apart else 1),
            (q, asked, out, tops, weights, totals, plan.about, plan.pages(cache), cache.keys,
             cache.values, key_scales, value_scales, table, least, slopes, float(scale),
             float(cap or 1.0), options.get("window") or 0, options.get("chunk") or 1, *steps,
             *scale_steps, tokens),
            KV_HEADS=cache.kv_heads, D=d, SPLIT=self.split, KIND=kind, LATENT=latent,
            K=KINDS[cache.keys.dtype], WINDOW=options.get("window") is not None,
            CHUNK=options.get("chunk") is not None, CAP=cap is not None,
            ALIBI=alibi is not None, APART=apart, **constants,
        )  # fmt: skip
        if apart:
            self.kernels.run(
                "merge", (tokens, heads), (tops, weights, totals, out, least, tokens, splits),
                **constants,
            )  # fmt: skip
        return out
