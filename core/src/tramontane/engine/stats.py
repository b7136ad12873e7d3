"""What an engine says about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineStats:
    """A moment's figures, and counts since the start."""

    running: int
    waiting: int
    kv_blocks_used: int
    kv_blocks_total: int
    prefix_queries: int
    prefix_hits: int
    prefix_evictions: int
    preemptions: int
    forced_tokens: int
    """Tokens of answers that went in without a step of their own."""
    steps: int
    failed_steps: int
