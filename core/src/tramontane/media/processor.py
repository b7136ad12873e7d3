"""What an architecture says about its media, and how a prompt with them is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tramontane.errors import RequestError
from tramontane.tokenizer.tokenizer import Tokenizer

from .item import Media, MediaItem, runs_of

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""


class MediaProcessor(Protocol):
    """What `Architecture.media` builds: pictures to arrays, and to the text that stands for them.
    A family's class derives from it, and defines `mark`, `row` and `prepare`.

    Thread-safe; it keeps nothing between two calls.
    """

    mark: str
    """The text by which chat templates say that there is a picture."""
    row: str
    """The token whose rows are an encoded picture's."""
    mutual: bool = False
    """Whether a picture's rows see each other, not only those before."""

    def prepare(self, pixels: Pixels) -> MediaItem:
        """Raises ValueError for a picture that cannot be, such as one of extreme proportions."""

    def written(self, item: MediaItem) -> str:
        """What stands in the prompt's text in place of the mark; it has the token `row` as often
        as the item has rows."""
        return self.row * item.rows

    def completed(self, text: str, bos: str | None) -> str:
        """The whole text as the family's processor would have it, before it is cut into tokens.
        bos: the token that texts begin with."""
        return text

    def positions(self, ids: Sequence[int], media: Media) -> npt.NDArray[np.int64] | None:
        """(sections, tokens): positions of a rotary embedding with sections; None: it has none."""
        return None


def with_media(
    text: str, items: Sequence[MediaItem], processor: MediaProcessor, tokenizer: Tokenizer
) -> tuple[tuple[int, ...], Media]:
    """The token ids of a rendered chat with pictures, and what they are rows of.

    Raises RequestError where the text has not as many marks as there are pictures.
    """
    pieces = text.split(processor.mark)
    if len(pieces) - 1 != len(items):
        raise RequestError(
            f"the conversation has {len(items)} images, and its text {len(pieces) - 1} times "
            f"{processor.mark!r}, which stands for one: leave that out of messages; if it is in "
            "none, the chat template has no place for images there"
        )
    written = [processor.written(item) for item in items]
    whole = pieces[0] + "".join(map(str.__add__, written, pieces[1:]))
    whole = processor.completed(whole, tokenizer.named.get("bos_token"))
    ids = tuple(tokenizer.encode_chat(whole))
    row = tokenizer.inner.token_to_id(processor.row)
    if row is None:
        raise RequestError(f"the tokenizer has no token {processor.row!r}, which images need")
    try:
        media = Media(runs_of(ids, row, items), processor.mutual)
    except ValueError as error:
        raise RequestError(f"{error}: leave {processor.row!r} out of messages") from error
    positions = processor.positions(ids, media)
    return ids, Media(media.runs, media.mutual, positions)


def settings_of(files: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The settings of a part of a processor, such as "image_processor", from a checkpoint's files:
    `processor_config.json` has them under that name, older `preprocessor_config.json` flat."""
    inner = files.get(name)
    return inner if isinstance(inner, Mapping) else files
