"""SmolVLM takes videos beside images, which it prepares as Idefics3 does."""

from collections.abc import Mapping
from typing import Any

from .model import Idefics3Config
from .tiles import Tiles
from .videos import SmolVideos


class SmolTiles(Tiles):
    def __init__(self, cfg: Idefics3Config, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.beside = (SmolVideos(self, cfg, files),)
