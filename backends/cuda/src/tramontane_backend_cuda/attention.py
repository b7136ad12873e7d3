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

from .card import Card
from .kernels.attention import attend, merge
from .launch import launch
from .plan import SPLIT, plan_of
from .products import dot_type

STEP = 64
"""Tokens of a step; see `kernels.attention`. Results depend on it."""
FEW, MANY = 16, 32
"""Rows of a tile of tokens that are alone, and of one of a prompt, a row being a token with a head.
Matrix instructions are of one shape for both."""
FLOATS, FLOATS8, CODES8 = range(3)
TABLES = {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}


def is_read(cache: LayerCache) -> bool:
    """Whether the kernels read a cache of this kind."""
    return not isinstance(cache, CodedCache) or cache.stored != INT4


def rows_for(d_value: int, *, alone: bool) -> int:
    """Rows of a tile; few, where shared memory would not do for many."""
    return FEW if alone or d_value > 256 else MANY


def warps_for(kind: int, d_value: int, *, alone: bool) -> int:
    """Warps of a program: more where a thread's registers would not do."""
    return 8 if d_value > 256 or (kind != FLOATS and not alone) else 4


def _power(width: int) -> int:
    return max(16, 1 << (width - 1).bit_length())


@dataclass
class Attend:
    """A drop-in for `reference.attention`."""

    card: Card
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

    def _table(self, key: Any, make: Any, device: torch.device) -> Tensor:
        if (key, device) not in self._tables:
            self._tables[key, device] = make().to(device)
        return self._tables[key, device]

    def _run(
        self, q: Tensor, asked: Tensor | None, cache: LayerCache, batch: Batch, scale: float,
        sinks: Tensor | None, options: dict[str, Any],
    ) -> Tensor:  # fmt: skip
        q = cache.queries(q).contiguous()
        asked = None if asked is None else asked.contiguous()
        tokens, heads, d = q.shape
        kv_heads, d_value, device = cache.kv_heads, cache.d_value, q.device
        share = heads // kv_heads
        block = min(16, 1 << (share - 1).bit_length())
        out = q.new_empty(tokens, heads, d_value)
        alibi, cap = options.get("alibi"), options.get("cap")
        slopes = q
        if alibi is not None:
            told = tuple(alibi)
            slopes = self._table(told, lambda: torch.tensor(told, dtype=torch.float32), device)
        kind, table, key_scales, value_scales = FLOATS, q, q, q
        pages = [each.stride(0) for each in (cache.keys, cache.values)] + [0, 0]
        if isinstance(cache, FloatCache8):
            kind = FLOATS8
            table = self._table(cache.stored, lambda: float_table(TABLES[cache.stored]), device)
        elif isinstance(cache, CodedCache):
            kind, key_scales, value_scales = CODES8, cache.key_scales, cache.value_scales
            pages[2:] = key_scales.stride(0), value_scales.stride(0)
        constants = dict(
            HEADS=heads, KV_HEADS=kv_heads, D=d, DV=d_value, BD=_power(d), BV=_power(d_value),
            BLOCK=block, STEP=STEP, SPLIT=SPLIT, KIND=kind, LATENT=asked is not None,
            WINDOW=options.get("window") is not None, CHUNK=options.get("chunk") is not None,
            CAP=cap is not None, ALIBI=alibi is not None, SINKS=sinks is not None,
            MUTUAL=batch.mutual, DOT=dot_type(q.dtype, self.card), enable_fp_fusion=False,
        )  # fmt: skip
        plan = plan_of(batch)
        reach = plan.reach() if batch.mutual else q
        parts = kv_heads * -(-share // block)
        for tiles in plan.tiles(block, rows_for(d_value, alone=False)):
            apart, alone = tiles.splits > 0, len(tiles.rows) > 0
            size = (tiles.splits, tokens, heads) if apart else (1,)
            tops, weights = (q.new_empty(size, dtype=torch.float32) for _ in range(2))
            totals = q.new_empty((*size, d_value) if apart else (1,), dtype=torch.float32)
            launch(
                attend, (len(tiles.about), parts, max(1, tiles.splits)),
                q, q if asked is None else asked, out, tops, weights, totals, tiles.about,
                plan.pages(cache), reach, cache.keys, cache.values, key_scales, value_scales,
                table, q if sinks is None else sinks, slopes, scale, cap or 1.0,
                options.get("window") or 0, options.get("chunk") or 1, *pages, tokens,
                ROWS=rows_for(d_value, alone=alone), APART=apart, **constants,
                warps=warps_for(kind, d_value, alone=alone),
            )  # fmt: skip
            if apart:
                launch(
                    merge, (len(tiles.rows), heads),
                    tops, weights, totals, tiles.rows, out, q if sinks is None else sinks, tokens,
                    tiles.splits, HEADS=heads, DV=d_value, BV=_power(d_value),
                    SINKS=sinks is not None, enable_fp_fusion=False, warps=1,
                )  # fmt: skip
        return out
