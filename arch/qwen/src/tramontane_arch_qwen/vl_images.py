"""How the vision models of Qwen prepare images: each in its own proportions, as patches; and where
images and videos are for their rotary embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tramontane.media.item import Media, MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import CLIP_MEAN, CLIP_STD, PixelSettings

from .vl2 import VLConfig
from .vl_patches import Patching, size_within
from .vl_videos import Qwen3Videos, QwenVideos


class QwenImages(MediaProcessor):
    """Sizes are areas: `shortest_edge` and `longest_edge` of `size`,
    or `min_pixels` and `max_pixels`, in pixels."""

    mark = row = "<|image_pad|>"
    videos: type[QwenVideos] = QwenVideos

    def __init__(self, cfg: VLConfig, files: Mapping[str, Any]) -> None:
        told = settings_of(files, "image_processor")
        size = told.get("size") or {}
        self.least = int(told.get("min_pixels") or size.get("shortest_edge", 56 * 56))
        self.most = int(told.get("max_pixels") or size.get("longest_edge", 28 * 28 * 1280))
        self.patching = Patching.of(cfg, PixelSettings.of(told, 3, CLIP_MEAN, CLIP_STD))
        self.beside = (self.videos(cfg, files),)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that an image is resized to, multiples of a merged square's side.
        Raises ValueError for extreme proportions."""
        return size_within(height, width, self.patching.factor, self.least, self.most)

    def prepare(self, pixels: Pixels) -> MediaItem:
        image = self.patching.pixels.resized(pixels, *self.size_of(*pixels.shape[:2]))
        found = dict(self.patching.patches([image] * self.patching.frames))
        found["grid"] = found["grid"][1:]
        return MediaItem("image", found, len(found["patches"]) // self.patching.merge**2)

    def positions(self, ids: Sequence[int], media: Media) -> npt.NDArray[np.int64]:
        """(3, tokens): rows of an image, or of a video's frames that follow one another, have the
        time of the first and what passed since, and their row and column from there; what follows
        counts on from the largest row or column."""
        found, place, here = np.empty((3, len(ids)), np.int64), 0, 0
        for run in media.runs:
            found[:, place : run.start] = np.arange(run.start - place) + here
            here += run.start - place
            rows, columns = (
                int(each) // self.patching.merge for each in run.item.arrays["grid"][-2:]
            )
            times = run.count // (rows * columns)
            step = np.float32(run.item.arrays.get("interval", 1))
            time = (np.arange(times).astype(np.float32) * step).astype(np.int64)
            found[0, run.start : run.end] = here + np.repeat(time, rows * columns)
            found[1, run.start : run.end] = here + np.tile(
                np.repeat(np.arange(rows), columns), times
            )
            found[2, run.start : run.end] = here + np.tile(np.arange(columns), times * rows)
            here += max(rows, columns)
            place = run.end
        found[:, place:] = np.arange(len(ids) - place) + here
        return found


class Qwen3Images(QwenImages):
    """Beside Qwen3-VL's videos."""

    videos = Qwen3Videos


def processor(cfg: VLConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """None where the checkpoint is of the language model alone."""
    return None if cfg.vision_config is None else QwenImages(cfg, files)  # type: ignore[attr-defined]


def processor3(cfg: VLConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """The same of Qwen3-VL."""
    return None if cfg.vision_config is None else Qwen3Images(cfg, files)  # type: ignore[attr-defined]
