"""How LLaVA's models of videos prepare them: each frame as a square of the encoder's size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import Frames, MediaProcessor, Pixels, settings_of

from .config import LlavaConfig
from .images import LlavaImages


class LlavaVideos(MediaProcessor):
    """Settings are those of the checkpoint's video processor: `num_frames` or `fps` of each second
    with `do_sample_frames`, without which every frame is looked at."""

    kind = "video"
    mark = row = "<video>"
    Images: type[LlavaImages] = LlavaImages

    def __init__(self, cfg: LlavaConfig, files: Mapping[str, Any], frame_rows: int) -> None:
        told = {**settings_of(files, "video_processor"), "do_pad": None}  # that is of images alone
        self.images, self.frame_rows = self.Images(cfg, {"image_processor": told}), frame_rows
        self.samples = bool(told.get("do_sample_frames"))
        self.frames: int | None = told.get("num_frames")
        self.fps: float | None = told.get("fps")

    def chosen(self, count: int, rate: float, fps: float | None = None) -> Sequence[int]:
        frames, per_second = (self.frames, self.fps) if fps is None else (None, fps)
        if not (self.samples or fps is not None) or (frames is None and per_second is None):
            return range(count)
        if frames is None:
            frames = int(count / rate * per_second)  # type: ignore[operator]
        wanted = min(max(frames, 1), count)
        return [place * count // wanted for place in range(wanted)]

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        self.images.check(height, width)
        return self.images.side, self.images.side

    def frame(self, pixels: Pixels, height: int, width: int) -> Pixels:
        return self.images.middle(pixels)

    def prepare(self, frames: Frames) -> MediaItem:
        """frames: squares that `frame` made."""
        normalized = self.images.settings.normalized
        pixels = np.stack([normalized(each) for each in frames.pixels])
        return MediaItem("video", {"frames": pixels}, self.rows(len(pixels)))

    def rows(self, count: int) -> int:
        """Of so many frames."""
        return count * self.frame_rows
