"""An engine's statistics."""

from __future__ import annotations

from dataclasses import dataclass


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
    steps: int
    failed_steps: int
