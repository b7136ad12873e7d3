"""What an architecture says about its media, and how a prompt with them is made."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tramontane.errors import RequestError
from tramontane.tokenizer.tokenizer import Tokenizer

from .item import Media, MediaItem, runs_of

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""
Samples = npt.NDArray[np.float32]
"""(samples,), one channel, within -1 and 1."""


class Frames(NamedTuple):
    """Pictures of a video. pixels: (frames, height, width, 3), RGB. indices: which of the video's
    `total` frames they are. rate: the video's frames a second. size: height and width of the
    video's frames before `MediaProcessor.frame` resized them."""

    pixels: npt.NDArray[np.uint8]
    indices: Sequence[int]
    rate: float
    total: int
    size: tuple[int, int]

    @property
    def sampled(self) -> float:
        """Frames a second among those that were chosen."""
        return len(self.indices) / self.total * self.rate


class Given(NamedTuple):
    """Frames of Python's. frames: an array (frames, height, width, 3), or a list of images."""

    frames: Any
    rate: float | None = None


class MediaProcessor(Protocol):
    """What `Architecture.media` builds: media to arrays, and to the text that stands for them.
    A family's class derives from it, and defines `mark`, `row` and `prepare`.

    One class is for media of one kind. A family that takes several kinds names the processors of
    the others in `beside`. Thread-safe; it keeps nothing between two calls.
    """

    kind: str = "image"
    """"image", "audio" or "video"."""
    mark: str
    """The text by which chat templates say that there is one."""
    row: str
    """The token whose rows are an encoded item's."""
    spare_rows: tuple[str, ...] = ()
    """Tokens that stand in for `row` where the tokenizer lacks it, as those of GGUF files may:
    what the row's own embedding is matters to nothing. The first that there is is taken."""
    mutual: bool = False
    """Whether an item's rows see each other, not only those before. One value for all kinds."""
    rate: int = 16_000
    """Of "audio": samples a second of what `prepare` is given."""
    beside: Sequence[MediaProcessor] = ()
    """Processors of further kinds that the family takes."""
    template: str | None = None
    """The chat template of a checkpoint without one. Asked of the processor that the architecture's
    offer names."""

    def prepare(self, given: Any) -> MediaItem:
        """given: `Pixels` of an "image", `Samples` of "audio", `Frames` of a "video".

        Raises ValueError for what cannot be, such as a picture of extreme proportions.
        """

    def chosen(self, count: int, rate: float, fps: float | None = None) -> Sequence[int]:
        """Of "video": which of a video's `count` frames `prepare` is given, in rising order. rate:
        the video's frames a second. fps: how many of each second the owner wants; None: as the
        checkpoint says. Raises ValueError."""
        return range(count)

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Of "video": height and width that `prepare` resizes each of `count` frames to, so that no
        more of them is kept. Raises ValueError as `prepare` does."""
        return height, width

    def frame(self, pixels: Pixels, height: int, width: int) -> Pixels:
        """Of "video": a frame in that size, as `prepare` itself would resize it."""
        return pixels

    def written(self, item: MediaItem) -> str:
        """What stands in the prompt's text in place of the mark; it has the token `row` as often
        as the item has rows."""
        return self.row * item.rows

    def rendered(self, text: str) -> str:
        """A rendered chat, before its marks are looked for; for families whose templates or users
        say in several ways that there is a picture. Raises ValueError."""
        return text

    def assembled(self, pieces: Sequence[str], written: Sequence[str]) -> str:
        """The prompt's text. pieces: of the rendered chat, cut at its marks. written: what stands
        between them. Override it where that depends on its place."""
        return pieces[0] + "".join(map(str.__add__, written, pieces[1:]))

    def completed(self, text: str, bos: str | None) -> str:
        """The whole text as the family's processor would have it, before it is cut into tokens.
        bos: the token that texts begin with."""
        return text

    def together(self, items: Sequence[MediaItem]) -> Sequence[MediaItem]:
        """The items of one prompt, in order; for families where what becomes of an item depends on
        which others there are. Asked of the processor that the architecture's offer names."""
        return items

    def adapter(self, kinds: Collection[str]) -> str | None:
        """Which of the checkpoint's own adapters a prompt with media of these kinds is computed
        with, see `Architecture.adapters`; None: with none. Asked of the processor that the
        architecture's offer names."""
        return None

    def positions(self, ids: Sequence[int], media: Media) -> npt.NDArray[np.int64] | None:
        """(sections, tokens): positions of a rotary embedding with sections, of media of all kinds;
        None: it has none. Asked of the processor that the architecture's offer names."""
        return None


def by_kind(processor: MediaProcessor | None) -> dict[str, MediaProcessor]:
    """A family's processors by the kind of media they are for, the offered one first; none: it
    takes text only."""
    all_of_them = () if processor is None else (processor, *processor.beside)
    return {each.kind: each for each in all_of_them}


def with_media(
    text: str,
    items: Sequence[MediaItem],
    kinds: Mapping[str, MediaProcessor],
    tokenizer: Tokenizer,
) -> tuple[tuple[int, ...], Media]:
    """The token ids of a rendered chat with media, and what they are rows of. kinds: of `by_kind`.

    Raises RequestError where the text has not as many marks as there are items of a kind.
    """
    processor = next(iter(kinds.values()))
    try:
        text = processor.rendered(text)
    except ValueError as error:
        raise RequestError(str(error)) from error
    pieces, placed = _placed(text, items, kinds)
    ordered = processor.together(placed)
    tokens = {kind: _row(kinds[kind], tokenizer) for kind in {item.kind for item in items}}
    written = [
        kinds[item.kind].written(item).replace(kinds[item.kind].row, tokens[item.kind][0])
        for item in ordered
    ]
    whole = processor.assembled(pieces, written)
    whole = processor.completed(whole, tokenizer.named.get("bos_token"))
    ids = tuple(tokenizer.encode_chat(whole))
    rows = {kind: row for kind, (_, row) in tokens.items()}
    try:
        media = Media(runs_of(ids, rows, ordered), processor.mutual)
    except ValueError as error:
        names = " and ".join(sorted({repr(name) for name, _ in tokens.values()}))
        raise RequestError(f"{error}: leave {names} out of messages") from error
    positions = processor.positions(ids, media)
    return ids, Media(media.runs, media.mutual, positions)


NAMES = {"image": "images", "audio": "sounds", "video": "videos"}
"""What errors call several of a kind."""


def _placed(
    text: str, items: Sequence[MediaItem], kinds: Mapping[str, MediaProcessor]
) -> tuple[list[str], list[MediaItem]]:
    """The text without marks, in pieces, and the items in the order of their marks. A kind without
    an item has no mark: its text is a message's."""
    if not items:
        return [text], []
    marks = {kinds[kind].mark: kind for kind in {item.kind: None for item in items}}
    found = re.split(f"({'|'.join(map(re.escape, marks))})", text)
    waiting = {kind: [item for item in items if item.kind == kind] for kind in marks.values()}
    ordered = []
    for mark, kind in marks.items():
        given, places = len(waiting[kind]), found[1::2].count(mark)
        if given != places:
            name = NAMES[kind]
            raise RequestError(
                f"the conversation has {given} {name}, and its text {places} times {mark!r}, "
                "which stands for one: leave that out of messages; if it is in none, the chat "
                f"template has no place for {name} there"
            )
    for mark in found[1::2]:
        ordered.append(waiting[marks[mark]].pop(0))
    return found[::2], ordered


def _row(processor: MediaProcessor, tokenizer: Tokenizer) -> tuple[str, int]:
    """The token that stands for a row, and its id. Raises RequestError."""
    for name in (processor.row, *processor.spare_rows):
        if (found := tokenizer.inner.token_to_id(name)) is not None:
            return name, int(found)
    raise RequestError(
        f"the tokenizer has no token {processor.row!r}, which {NAMES[processor.kind]} need"
    )


def settings_of(files: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The settings of a part of a processor, such as "image_processor", from a checkpoint's files:
    `processor_config.json` has them under that name, older `preprocessor_config.json` flat."""
    inner = files.get(name)
    return inner if isinstance(inner, Mapping) else files
