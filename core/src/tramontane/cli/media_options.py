"""Options of media: how many, how large, and how much of what was encoded is kept."""

from __future__ import annotations

import argparse
from typing import Any

from .options import above_zero
from .parser import at_least

NAMES = ("max_edge", "video_fps", "max_num_images", "media_cache")


def add_media(parser: argparse.ArgumentParser) -> None:
    """--max-edge, --max-num-images, --media-cache."""
    group = parser.add_argument_group("images and videos")
    group.add_argument(
        "--max-edge", type=at_least(1), metavar="N",
        help="reduce images to N pixels of their longest side first: fewer tokens",
    )  # fmt: skip
    group.add_argument(
        "--video-fps", type=above_zero, metavar="X",
        help="frames of each second of a video that are looked at",
    )  # fmt: skip
    group.add_argument(
        "--max-num-images", type=at_least(1), metavar="N", help="images in one conversation"
    )
    group.add_argument(
        "--media-cache", type=at_least(1), metavar="N",
        help="bytes of what was encoded that are kept",
    )  # fmt: skip


def media_options(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of them, as `LLM` takes it."""
    given = {name: getattr(options, name) for name in NAMES}
    return {name: value for name, value in given.items() if value is not None}
