"""How an engine shares one model among many requests."""

from __future__ import annotations

from dataclasses import dataclass

from tramontane.drafting import Draft, DraftHead, DraftModel, Drafts
from tramontane.option_checks import FLAG, a_text, check_options, instance, seconds, whole

CHECKS = {
    "batch_size": whole(),
    "max_batched_tokens": whole(none=True),
    "max_seqs": whole(),
    "kv_tokens": whole(none=True),
    "kv_memory": a_text("bytes ('2GB') or a share of memory ('40%')", none=True),
    "state_slots": whole(none=True),
    "media_cache": whole(0),
    "prefix_cache": FLAG,
    "max_waiting": whole(0, none=True),
    "queue_timeout": seconds(none=True),
    "forced_tokens": FLAG,
    "draft": instance(Draft, DraftModel, DraftHead, what="what parse_draft returns", none=True),
}


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The limits of an engine. Raises RequestError for values that cannot be."""

    batch_size: int = 512
    """Prompt tokens per step."""
    max_batched_tokens: int | None = None
    """All tokens per step, prompts' and decoding sequences'; None: batch_size + max_seqs."""
    max_seqs: int = 32
    """Requests that run concurrently; more wait in the queue."""
    kv_tokens: int | None = None
    """Capacity of the KV cache in tokens, for all requests together; None: one full context."""
    kv_memory: str | None = None
    """The capacity in memory instead: bytes ("2GB", "512MB") or a share of free memory ("40%")."""
    state_slots: int | None = None
    """Sequences and snapshots whose states are kept, in models with recurrent layers; None: as many
    as run at once and 16 snapshots, in a quarter of the free memory at most."""
    media_cache: int = 256 << 20
    """Bytes of encoded images and sounds that are kept, in models that take any."""
    prefix_cache: bool = True
    """Whether requests with a common prefix share its keys and values."""
    max_waiting: int | None = None
    """Size of the queue; further requests are rejected at once. None: unlimited."""
    queue_timeout: float | None = None
    """Seconds that a request may wait for its first step. None: no limit."""
    forced_tokens: bool = True
    """Whether tokens that a grammar determines are computed as one chunk, not a step for each."""
    draft: Drafts | None = None
    """What guesses tokens ahead, so that several are computed in one step; None: nothing."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)
