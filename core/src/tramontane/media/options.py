"""What a model's owner says about media in conversations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from tramontane.errors import RequestError

from .fetch import Fetch

MOST_ITEMS = 64
"""Sounds and videos in one conversation; images too, where the owner says no other number."""


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
        for name in ("max_edge", "max_num_images"):
            value = getattr(self, name)
            if value is None and name == "max_edge":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise RequestError(f"{name} should be a whole number from 1 on, not {value!r:.40}")
        if self.video_fps is not None and not _above_zero(self.video_fps):
            raise RequestError(f"video_fps should be a number above 0, not {self.video_fps!r:.40}")


def _above_zero(value: Any) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and bool(value > 0)
