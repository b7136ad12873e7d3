"""Media as users have them, to what a model's processor takes."""

from __future__ import annotations

from typing import Any

from tramontane.errors import RequestError
from tramontane.plugin import load

from .item import MediaItem
from .processor import MediaProcessor

DECODERS = {
    "image": "tramontane.media.image:decoded",
}
"""Of each kind: (source, where, processor) -> what `MediaProcessor.prepare` is given. source: bytes
of a file, a path, a data: URL, or what Python has. where: how errors call it."""


def prepared(
    source: Any, where: str, processor: MediaProcessor, max_edge: int | None = None
) -> MediaItem:
    """One item as the model's encoder takes it. max_edge: pixels of the longest side that images
    are reduced to before. Raises RequestError."""
    given = load(DECODERS[processor.kind])(source, where, processor)
    if max_edge is not None and processor.kind == "image":
        given = load("tramontane.media.resize:reduced")(given, max_edge)
    try:
        return processor.prepare(given)
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from error
