"""An engine's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kv_cache import KVCache
    from .scheduler import Counts


@dataclass(frozen=True, kw_only=True)
class EngineStats:
    """Current figures, and counters since the start."""

    running: int
    waiting: int
    kv_blocks_used: int
    kv_blocks_total: int
    state_snapshots: int
    state_slots: int
    prefix_queries: int
    prefix_hits: int
    prefix_evictions: int
    preemptions: int
    forced_tokens: int
    """Output tokens that were computed without a separate step."""
    drafted_tokens: int
    """Tokens that were guessed ahead, in requests that have ended."""
    accepted_tokens: int
    """Those that came, and took no separate step."""
    steps: int
    failed_steps: int


def figures_of(cache: KVCache, counts: Counts) -> dict[str, int]:
    """The fields that the cache and the scheduler have."""
    pool, states = cache.pool, cache.states
    return {
        "kv_blocks_used": pool.count - pool.free,
        "kv_blocks_total": pool.count,
        "state_snapshots": states.snapshots,
        "state_slots": states.count,
        "prefix_queries": counts.prefix_queries,
        "prefix_hits": counts.prefix_hits,
        "prefix_evictions": pool.evictions,
        "preemptions": counts.preemptions,
        "forced_tokens": counts.forced_tokens,
        "drafted_tokens": counts.drafted_tokens,
        "accepted_tokens": counts.accepted_tokens,
    }
