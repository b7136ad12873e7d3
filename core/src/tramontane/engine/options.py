"""How an engine shares one model among many requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The limits of an engine."""

    batch_size: int = 512
    """Prompt tokens per step."""
    max_batched_tokens: int | None = None
    """All tokens per step, prompts' and those of decoding sequences; None: as the two allow."""
    max_seqs: int = 32
    """Requests that run at once; more wait."""
    kv_tokens: int | None = None
    """Context that all running requests may hold together; None: one full context."""
    kv_memory: str | None = None
    """The same by memory: bytes ("2GB", "512MB") or a share of what is free ("40%")."""
    prefix_cache: bool = True
    """Whether requests that begin alike share what was computed."""
    max_waiting: int | None = None
    """Requests that may wait; one more is refused at once. None: any number."""
    queue_timeout: float | None = None
    """Seconds that a request may wait for its first step. None: for ever."""
    forced_tokens: bool = True
    """Whether tokens of which a grammar leaves no choice go in without a step for each."""
