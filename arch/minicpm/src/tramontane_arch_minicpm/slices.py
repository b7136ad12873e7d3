"""How MiniCPM-V prepares images: whole, and cut into a grid of slices where they are large."""

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, settings_of
from tramontane.media.resize import HALF, resized, standardized

from .vision import MiniCpmVisionConfig

log = logging.getLogger(__name__)


class Slices(MediaProcessor):
    """An item has "source", the whole image (3, height, width), "slices" (slices, 3, height,
    width), and their "grid", (2): across, down."""

    mark = "(<image>./</image>)"

    def __init__(self, cfg: MiniCpmVisionConfig, files: Mapping[str, Any]) -> None:
        if cfg.model_type == "minicpmo":
            log.warning("what speaks (tts) in MiniCPM-o is left out")
        told = settings_of(files, "image_processor")
        if not told.get("slice_mode", True):
            raise ValueError("slice_mode of false is not supported")
        for name, default, is_ in (
            ("patch_size", 14, cfg.vision_config.patch_size),
            ("image_feature_size", 64, cfg.query_num),
        ):
            said = told.get(name, default) if told else is_
            if said != is_:
                raise ValueError(f"{name} {said}, but the model has {is_}")
        self.patch, self.rows = cfg.vision_config.patch_size, cfg.query_num
        self.side = int(told.get("scale_resolution", 448))
        self.most = int(told.get("max_slice_nums", 9))
        if self.most < 1 or self.side < 1:
            raise ValueError(
                f"max_slice_nums {self.most} and scale_resolution {self.side} must be at least 1"
            )
        self.numbers = bool(told.get("use_image_id", False))
        self.mean, self.std = told.get("norm_mean") or HALF, told.get("norm_std") or HALF
        self.row = told.get("unk") or "<unk>"
        self.marks = {
            name: told.get(name) or text
            for name, text in (
                ("im_start", "<image>"),
                ("im_end", "</image>"),
                ("slice_start", "<slice>"),
                ("slice_end", "</slice>"),
                ("im_id_start", "<image_id>"),
                ("im_id_end", "</image_id>"),
            )
        }

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Slices across and down, of the nearest proportions; (0, 0): none."""
        wanted = min(math.ceil(width * height / self.side**2), self.most)
        if wanted <= 1:
            return 0, 0
        counts = [n for n in (wanted - 1, wanted, wanted + 1) if 1 < n <= self.most]
        grids = [(m, n // m) for n in counts for m in range(1, n + 1) if n % m == 0]
        told = math.log(width / height)
        return min(grids, key=lambda grid: abs(told - math.log(grid[0] / grid[1])))

    def fitted(self, height: float, width: float, *, larger: bool) -> tuple[int, int]:
        """Height and width in whole patches, with about `side`² pixels in their proportions; of a
        smaller image only where it is made larger."""
        if larger or width * height > self.side**2:
            proportion = width / height
            height = int(self.side / math.sqrt(proportion))
            width = int(height * proportion)
        return nearest(height, self.patch), nearest(width, self.patch)

    def prepare(self, pixels: Pixels) -> MediaItem:
        height, width = pixels.shape[:2]
        across, down = self.grid(height, width)
        source = self._resized(pixels, *self.fitted(height, width, larger=not across))
        slices = np.zeros((0, *source.shape), np.float32)
        if across:
            each = nearest(height, down) / down, nearest(width, across) / across
            high, wide = self.fitted(*each, larger=True)
            whole = self._resized(pixels, high * down, wide * across)
            parts = whole.reshape(3, down, high, across, wide).transpose(1, 3, 0, 2, 4)
            slices = parts.reshape(-1, 3, high, wide)
        arrays = {"source": source, "slices": slices, "grid": np.array([across, down])}
        return MediaItem("image", arrays, (1 + across * down) * self.rows)

    def _resized(self, pixels: Pixels, high: int, wide: int) -> Any:
        return standardized(resized(pixels, high, wide, "bicubic"), self.mean, self.std)

    def written(self, item: MediaItem) -> str:
        """The whole image, then a line of text for each line of slices."""
        across, down = (int(number) for number in item.arrays["grid"])
        marks, shown = self.marks, self.row * self.rows
        line = f"{marks['slice_start']}{shown}{marks['slice_end']}" * across
        return f"{marks['im_start']}{shown}{marks['im_end']}" + "\n".join([line] * down)

    def assembled(self, pieces: Sequence[str], written: Sequence[str]) -> str:
        """Images may have their numbers before them."""
        if self.numbers:
            begin, end = self.marks["im_id_start"], self.marks["im_id_end"]
            first, count = self.marks["im_start"], itertools.count()
            written = [
                f"{begin}{next(count)}{end}{text}" if text.startswith(first) else text
                for text in written
            ]
        return super().assembled(pieces, written)


def nearest(length: float, step: int) -> int:
    """The multiple of `step` nearest to a length, and at least one."""
    return max(round(length / step) * step, step)
