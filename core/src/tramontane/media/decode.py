"""Media as users have them, to what a model's processor takes."""

from __future__ import annotations

from typing import Any

from tramontane.errors import RequestError
from tramontane.plugin import load

from .item import MediaItem
from .options import MediaOptions
from .processor import MediaProcessor

DECODERS = {
    "image": "tramontane.media.image:decoded",
    "audio": "tramontane.media.sound:decoded",
    "video": "tramontane.media.video:decoded",
}
"""Of each kind: (source, where, processor, options) -> what `MediaProcessor.prepare` is given.
source: bytes of a file, a path, a data: URL, or what Python has. where: how errors call it."""


def prepared(
    source: Any, where: str, processor: MediaProcessor, options: MediaOptions | None = None
) -> MediaItem:
    """One item as the model's encoder takes it. Raises RequestError."""
    options = options or MediaOptions()
    given = load(DECODERS[processor.kind])(source, where, processor, options)
    try:
        return processor.prepare(given)
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from error
