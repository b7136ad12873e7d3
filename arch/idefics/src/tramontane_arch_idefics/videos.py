"""How SmolVLM prepares videos: frames in squares of a tile's size, each with its time before it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import Frames, MediaProcessor, Pixels, settings_of
from tramontane.media.resize import PixelSettings

from .model import Idefics3Config
from .tiles import LONGEST, NEEDED, Tiles
from .words import number_in_words

SKIPPED = 1
"""Seconds at the beginning and at the end of a long video that are not looked at."""


class SmolVideos(MediaProcessor):
    """Settings are those of the checkpoint's video processor: `size` and `max_image_size`, and
    `video_sampling` or `num_frames` and `fps`, without which every frame is looked at."""

    kind = "video"
    mark, row = "<video>", "<image>"

    def __init__(self, tiles: Tiles, cfg: Idefics3Config, files: Mapping[str, Any]) -> None:
        told, side = settings_of(files, "video_processor"), cfg.vision_config.image_size
        if off := [name for name in NEEDED if told.get(name) is False]:
            raise ValueError(f"{off[0]} of false is not supported for videos")
        sampling = told.get("video_sampling") or {}
        self.most: int | None = sampling.get("max_frames", told.get("num_frames"))
        self.fps: float | None = sampling.get("fps", told.get("fps"))
        size = told.get("size") or sampling.get("video_size") or {"longest_edge": 4 * side}
        largest = told.get("max_image_size") or {"longest_edge": tiles.tile}
        if "longest_edge" not in size or largest.get("longest_edge") != tiles.tile:
            raise ValueError(
                f"videos of size {size} and max_image_size {largest} do not fit tiles of "
                f"{tiles.tile}: only a longest_edge is supported, that of a tile in max_image_size"
            )
        if told.get("do_sample_frames") and (self.most is None or self.fps is None):
            raise ValueError("do_sample_frames of true needs num_frames and fps")
        self.longest, self.tile = min(int(size["longest_edge"]), LONGEST), tiles.tile
        self.rows = tiles.rows
        scale = float(told.get("rescale_factor", 1 / 255))
        self.settings = PixelSettings.of(told, 1)._replace(scale=scale)

    def chosen(self, count: int, rate: float, fps: float | None = None) -> Sequence[int]:
        most = count if self.most is None else self.most
        per_second = self.fps if fps is None else fps
        if per_second is None or (self.most is None and fps is None):
            return range(count)
        seconds = count / rate
        wanted = max(min(round(per_second * seconds), most), 1)
        first, last = 0, count - 1
        if seconds - 2 * SKIPPED > most * per_second:
            first, last = int(SKIPPED * rate), min(int(count - SKIPPED * rate), count - 1)
            if first >= last:
                first, last = 0, count - 1
        indices: list[int] = np.unique(np.linspace(first, last, wanted, dtype=int)).tolist()
        return indices

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        return self.tile, self.tile

    def frame(self, pixels: Pixels, height: int, width: int) -> Pixels:
        """Resized twice: to the longest edge in its proportions, and from there to a square."""
        whole = self.settings.resized(pixels, *self._first_size(*pixels.shape[:2]))
        return self.settings.resized(whole, height, width)

    def _first_size(self, height: int, width: int) -> tuple[int, int]:
        proportion = width / height
        if width >= height:
            high = int(self.longest / proportion)
            return max(high + high % 2, 1), self.longest
        wide = int(self.longest * proportion)
        return self.longest, max(wide + wide % 2, 1)

    def prepare(self, frames: Frames) -> MediaItem:
        """frames: squares that `frame` made."""
        tiles = np.stack([self.settings.normalized(each) for each in frames.pixels])
        times = np.array([index / frames.rate for index in frames.indices])
        arrays = {"tiles": tiles, "times": times, "seconds": np.array(frames.total / frames.rate)}
        return MediaItem("video", arrays, len(tiles) * self.rows)

    def written(self, item: MediaItem) -> str:
        """What there is and how long it lasts, then each frame behind its minute and second."""
        fake, times = "<fake_token_around_image>", item.arrays["times"]
        shown = f"{fake}<global-img>{self.row * self.rows}{fake}"
        lasts = timedelta(seconds=int(item.arrays["seconds"]))
        frames = "".join(
            f"\nFrame from {int(time // 60):02d}:{int(time % 60):02d}:{shown}" for time in times
        )
        return (
            "You are provided the following series of "
            f"{number_in_words(len(times))} frames from a {lasts} [H:MM:SS] video.\n{frames}\n\n"
        )
