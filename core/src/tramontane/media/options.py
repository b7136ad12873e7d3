"""What a model's owner says about media in conversations."""

from __future__ import annotations

from dataclasses import dataclass

from tramontane.option_checks import above_zero, check_options, instance, whole

from .fetch import Fetch

MOST_ITEMS = 64
"""Sounds and videos in one conversation; images too, where the owner says no other number."""
CHECKS = {
    "max_edge": whole(none=True),
    "max_num_images": whole(),
    "video_fps": above_zero(none=True),
    "fetch": instance(Fetch, what="a Fetch", none=True),
}


@dataclass(frozen=True, kw_only=True)
class MediaOptions:
    """max_edge: pixels of the longest side; larger images and frames of videos are reduced before
    the model's processor sees them. max_num_images: in one conversation. video_fps: frames of
    each second of a video that are looked at; None: as the checkpoint says. fetch: what of the web
    may be fetched; None: nothing. Raises RequestError for numbers that cannot be."""

    max_edge: int | None = None
    max_num_images: int = MOST_ITEMS
    video_fps: float | None = None
    fetch: Fetch | None = None

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)
