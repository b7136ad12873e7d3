"""What a device's errors mean for those that run, and what is done about them.

Memory that cannot be had: the step is computed in parts, and later ones are smaller. A device that
is lost: nothing more can be computed, by anyone.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable
from typing import Literal, TypeAlias

import torch

from tramontane.backend import DeviceLost
from tramontane.errors import RequestError
from tramontane.parallel.group import PeerLost

from .scheduler import Scheduler
from .sequence import Sequence

log = logging.getLogger(__name__)
Work: TypeAlias = list[tuple[Sequence, int]]
FEWEST = 16
"""Tokens in a step below which steps are not made smaller for good."""
NO_MEMORY = ("out of memory", "not enough memory", "cannot allocate memory", "alloc_failed")
LOST = (
    "illegal memory access", "illegal instruction", "device-side assert", "misaligned address",
    "unspecified launch failure", "uncorrectable", "device lost", "device is lost",
    "invalid device context", "driver shutting down", "hardware error",
)  # fmt: skip
"""What the texts of errors have that torch and drivers raise, which have no types of their own."""


def failure_of(error: BaseException) -> Literal["memory", "lost"] | None:
    """What an error says of a device; None: nothing. Its causes are looked at too."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (DeviceLost, PeerLost)):
            return "lost"
        if isinstance(seen, (torch.OutOfMemoryError, MemoryError)):
            return "memory"
        if isinstance(seen, (RuntimeError, OSError)):
            said = str(seen).lower()
            if any(words in said for words in NO_MEMORY):
                return "memory"
            if isinstance(seen, torch.AcceleratorError) or any(words in said for words in LOST):
                return "lost"
        seen = seen.__cause__
    return None


def smaller(work: Work, scheduler: Scheduler) -> list[Work] | None:
    """Steps to try instead of one that found no memory; none where its sequences are computed anew
    in smaller ones. None: it has nothing that could be less. Later steps are smaller too."""
    release(layer.device for layer in scheduler.cache.layers.values())
    tokens = sum(count for _, count in work)
    if tokens > FEWEST and scheduler.batch_size > max(FEWEST, tokens // 2):
        scheduler.batch_size = max(FEWEST, tokens // 2)
        scheduler.max_batched_tokens = max(scheduler.max_seqs, scheduler.batch_size)
        log.warning(
            "out of memory in a step of %d tokens: steps have %d tokens of prompts from now on, "
            "instead of more (--batch-size)", tokens, scheduler.batch_size,
        )  # fmt: skip
    if len(work) > 1 and not scheduler.cache.states:
        half = len(work) // 2
        return [work[:half], work[half:]]
    if scheduler.cache.states:  # some layers' states have gone on, and others' have not
        if len(work) == 1 and work[0][1] <= FEWEST:
            return None
        for sequence, count in work:
            scheduler.suspect(sequence, count)
        return []
    ((sequence, count),) = work
    if sequence.drafts:
        count -= len(sequence.drafts)
        sequence.drafts = []
        return [[(sequence, count)]]
    half, media = count // 2, sequence.request.media
    if half and media is not None:
        half = media.cut(sequence.computed, half, company=scheduler.in_company)
    # the rest is planned as if it had never been
    return [[(sequence, half)]] if 0 < half < count else None


def release(devices: Iterable[torch.device]) -> None:
    """Give back what allocators of devices keep without using it."""
    gc.collect()
    for device in devices:
        if device.type == "cpu":
            continue
        empty = getattr(torch.get_device_module(device), "empty_cache", None)
        if empty is not None:
            try:
                empty()
            except RuntimeError as error:
                log.debug("%s: its cache cannot be emptied: %s", device, error)


def said_of(error: BaseException) -> str:
    """For who asked, of what failed; where memory did, the step was the smallest there is."""
    if isinstance(error, RequestError):
        return error.message
    if failure_of(error) != "memory":
        return f"{type(error).__name__}: {error}"
    first = str(error).strip().partition("\n")[0][:200]
    return (
        f"the device is out of memory, even for one request by itself: {first}; a shorter prompt, "
        "or later, may work"
    )


def said_of_loss(device: str, error: BaseException) -> str:
    """For everyone, once a device is lost."""
    if isinstance(error, PeerLost):
        return f"{error.message}; the model has to be loaded again"
    first = str(error).strip().partition("\n")[0][:200]
    return f"the device {device} is lost, and the model with it: {first}; load it again"
