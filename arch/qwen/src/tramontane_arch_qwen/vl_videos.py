"""How the vision models of Qwen prepare videos: two frames to a patch, each in the size of an area.

Settings are those of the checkpoint's video processor: `size`, `fps` or `num_frames`, `min_frames`,
`max_frames`, and `do_sample_frames`, without which every frame is looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from tramontane.media.item import MediaItem
from tramontane.media.processor import Frames, MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, HALF, PixelSettings

from .vl2 import VLConfig
from .vl_patches import Patching, size_within

SHARE = 0.9
"""Of `max_video_tokens`, that all frames of a video may have together."""
SPARE = 1.05
"""Times the least area of a frame, which that leaves each."""


class QwenVideos(MediaProcessor):
    """Qwen2-VL and Qwen2.5-VL: an area is each frame's; times go by seconds in the latter."""

    kind = "video"
    mark = row = "<|video_pad|>"
    least, most, tokens = 128 * 28 * 28, 28 * 28 * 768, 128_000
    samples = False
    fps: float | None = None
    mean, std = CLIP_MEAN, CLIP_STD
    bounds: ClassVar[tuple[str, str]] = ("min_pixels", "max_pixels")

    def __init__(self, cfg: VLConfig, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "video_processor")
        size = told.get("size") or {}
        least, most = (told.get(name) for name in self.bounds)
        self.least = int(size.get("shortest_edge", self.least) if least is None else least)
        self.most = int(size.get("longest_edge", self.most) if most is None else most)
        self.patching = Patching.of(cfg, PixelSettings.of(told, 3, self.mean, self.std))
        self.samples = bool(told.get("do_sample_frames", self.samples))
        self.fps = told.get("fps", self.fps)
        self.frames: int | None = told.get("num_frames")
        self.fewest = int(told.get("min_frames") or 4)
        self.most_frames = int(told.get("max_frames") or 768)
        self.capped = bool(told.get("cap_pixels_per_frame"))
        self.tokens = int(told.get("max_video_tokens") or self.tokens)
        self.tokens_per_second = getattr(cfg.vision_config, "tokens_per_second", None)  # type: ignore[attr-defined]

    def chosen(self, count: int, rate: float, fps: float | None = None) -> Sequence[int]:
        if fps is None and not self.samples:
            return range(count)
        frames = None if fps is not None else self.frames
        return self._chosen(count, rate, self.fps if fps is None else fps, frames)

    def _chosen(
        self, count: int, rate: float, fps: float | None, frames: int | None
    ) -> Sequence[int]:
        step = self.patching.frames
        if frames is not None:
            wanted = round(frames / step) * step
        elif fps is not None:
            most = min(self.most_frames, count) // step * step
            wanted = int(min(max(count / rate * fps, self.fewest), most, count) // step) * step
        else:
            return range(count)
        if not 0 < wanted <= count:
            raise ValueError(
                f"a video of {count} frames is too short to take {max(wanted, step)} of them: send "
                "pictures"
            )
        indices: list[int] = torch.arange(0, count, count / wanted).int().tolist()
        return indices

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        factor, most = self.patching.factor, self.most
        if self.capped:
            together = int(self.tokens * factor * factor * SHARE) * self.patching.frames
            most = max(min(most, together // count), int(self.least * SPARE))
        return size_within(height, width, factor, self.least, most)

    def frame(self, pixels: Pixels, height: int, width: int) -> Pixels:
        return self.patching.pixels.resized(pixels, height, width)

    def prepare(self, frames: Frames) -> MediaItem:
        size = self.frame_size(len(frames.pixels), *frames.size)
        found = dict(self.patching.patches([self.frame(each, *size) for each in frames.pixels]))
        found.update(self.times(frames))
        return MediaItem("video", found, len(found["patches"]) // self.patching.merge**2)

    def times(self, frames: Frames) -> dict[str, Any]:
        """Arrays that say when the pictures are."""
        if self.tokens_per_second is None:
            return {}
        seconds = np.float32(self.patching.frames / frames.sampled)
        return {"interval": np.asarray(np.float32(self.tokens_per_second) * seconds)}


class Qwen3Videos(QwenVideos):
    """Qwen3-VL: an area is that of all frames, and what is written says when each pair is."""

    least, most, tokens = 128 * 32 * 32, 32 * 32 * 768, 768
    samples = True
    fps = 2
    mean = std = HALF
    bounds = ("", "")

    def _chosen(
        self, count: int, rate: float, fps: float | None, frames: int | None
    ) -> Sequence[int]:
        if frames is None:
            wanted = count if fps is None else int(count / rate * fps)
            frames = min(max(wanted, self.fewest), self.most_frames)
            frames = frames if fps is None else min(frames, count)
        indices: list[int] = np.linspace(0, count - 1, frames).round().astype(int).tolist()
        return indices

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        factor, most, step = self.patching.factor, self.most, self.patching.frames
        if count < step:
            raise ValueError(f"a video has at least {step} frames, not {count}: send pictures")
        if self.capped:
            share = min(self.tokens * factor * factor, most // count)
            most = max(share, int(self.least * SPARE)) * count
        if min(height, width) < factor:
            scale = max(factor / height, factor / width)
            height, width = int(height * scale), int(width * scale)
        return size_within(height, width, factor, self.least, most, count, step)

    def times(self, frames: Frames) -> dict[str, Any]:
        step, indices = self.patching.frames, list(frames.indices)
        indices += indices[-1:] * (-len(indices) % step)
        seconds = [each / frames.rate for each in indices]
        found = [
            (seconds[first] + seconds[first + step - 1]) / 2
            for first in range(0, len(seconds), step)
        ]
        return {"times": np.array(found)}

    def written(self, item: MediaItem) -> str:
        _, rows, columns = (int(each) for each in item.arrays["grid"])
        places = self.row * (rows * columns // self.patching.merge**2)
        return "".join(
            f"<{time:.1f} seconds><|vision_start|>{places}<|vision_end|>"
            for time in item.arrays["times"]
        )
