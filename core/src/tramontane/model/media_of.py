"""The processor of a model's media, as its checkpoint describes it."""

from __future__ import annotations

from typing import Any

from tramontane.checkpoint.checkpoint import Checkpoint, HasProcessor
from tramontane.errors import ConfigError
from tramontane.media.processor import MediaProcessor
from tramontane.plugin import Architecture, load


def processor_of(offer: Architecture, config: Any, checkpoint: Checkpoint) -> MediaProcessor | None:
    """None where the model takes text only. Raises ConfigError."""
    if offer.media is None:
        return None
    files = checkpoint.processor() if isinstance(checkpoint, HasProcessor) else {}
    try:
        return load(offer.media)(config, files)  # type: ignore[no-any-return]
    except (ValueError, TypeError, KeyError, LookupError) as error:
        raise ConfigError(f"{checkpoint.header.path}: media processor: {error}") from error
