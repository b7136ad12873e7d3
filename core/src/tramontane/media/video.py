"""Videos as users have them, to the frames that a processor chooses. Decoding is PyAV's."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tramontane.errors import RequestError

from .bounds import MOST_BYTES, data_of
from .files import file_bytes
from .image import MOST_PIXELS, pixels_of
from .options import MediaOptions
from .processor import Frames, Given, MediaProcessor, Pixels
from .resize import reduced

MOST_SECONDS = 3600
"""Of a video."""
MOST_FRAMES = 1 << 18
"""Of a video, of which few are chosen."""
MOST_CHOSEN = 1 << 27
"""Pixels of all frames that are kept, in the size that the processor gives them."""
RATE = 24.0
"""Frames a second of frames that come without; transformers' processors take the same."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,ogg,flv,asf"
INSTALL = "videos need PyAV, which is not installed: pip install av"


class Header(NamedTuple):
    """What a file says, or a count of its packets does."""

    total: int
    rate: float
    height: int
    width: int


def decoded(source: Any, where: str, processor: MediaProcessor, options: MediaOptions) -> Frames:
    """What a processor of videos takes. source: bytes of a file, a path, a data: URL, an array or a
    list of frames, or `Given`.

    Raises RequestError for what is none, is damaged, or is too large.
    """
    if isinstance(source, str) and source.startswith("data:"):
        source = data_of(source, where)
    if isinstance(source, str | Path):
        source = file_bytes(Path(source), where)
    if isinstance(source, bytes | bytearray | memoryview):
        return _of_file(bytes(source), where, processor, options)
    if not isinstance(source, Given):
        source = Given(source)
    if isinstance(source.frames, np.ndarray | Sequence) and len(source.frames):
        rate = RATE if source.rate is None else source.rate
        if not isinstance(rate, int | float) or not 0 < rate < 1e4:
            raise RequestError(f"{where}: fps is the frames a second, not {rate!r:.40}")
        first = pixels_of(source.frames[0], where)
        header = Header(len(source.frames), float(rate), *first.shape[:2])
        chosen = _chosen(header, where, processor, options)
        frames = ((index, pixels_of(source.frames[index], where)) for index in chosen)
        return _kept(frames, chosen, header, where, processor, options)
    raise RequestError(
        f"{where}: a video is a path, bytes, a data: URL, an array (frames, height, width, 3) or a "
        f"list of frames, not {type(source.frames).__name__}"
    )


def _of_file(data: bytes, where: str, processor: MediaProcessor, options: MediaOptions) -> Frames:
    if len(data) > MOST_BYTES:
        raise RequestError(f"{where}: the video has more than {MOST_BYTES >> 20} MiB; reduce it")
    av = _module("av")
    try:
        try:
            header = _header(av, data, where)
        except av.FFmpegError as error:
            raise RequestError(f"{where} is no video of a known format, or damaged") from error
        chosen = _chosen(header, where, processor, options)
        frames = _frames(av, data, set(chosen))
        return _kept(frames, chosen, header, where, processor, options)
    except RequestError:
        raise
    except Exception as error:  # decoders raise many kinds
        raise RequestError(f"{where} is a damaged video: {error}") from error


def _open(av: Any, data: bytes) -> Any:
    # playlists and the like, which name files and addresses, are no formats here
    limits = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
    return av.open(io.BytesIO(data), container_options=limits)


def _header(av: Any, data: bytes, where: str) -> Header:
    with _open(av, data) as container:
        if not container.streams.video:
            raise RequestError(f"{where} has no pictures, only sound")
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or RATE)
        height, width = stream.codec_context.height, stream.codec_context.width
        if width * height > MOST_PIXELS:
            raise RequestError(
                f"{where} has {width} x {height} pixels: more than {MOST_PIXELS:,} are not decoded"
            )
        total = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    return Header(total, rate, height, width)


def _chosen(
    header: Header, where: str, processor: MediaProcessor, options: MediaOptions
) -> list[int]:
    """Which frames are kept. Raises RequestError where these, or all of them, are too many."""
    seconds = header.total / header.rate
    if header.total < 1:
        raise RequestError(f"{where} has no frames")
    if seconds > MOST_SECONDS or header.total > MOST_FRAMES:
        raise RequestError(
            f"{where} has {header.total} frames, {seconds:.0f} seconds: more than {MOST_SECONDS} "
            f"seconds or {MOST_FRAMES} frames are not decoded; cut it"
        )
    try:
        chosen = [
            int(each) for each in processor.chosen(header.total, header.rate, options.video_fps)
        ]
        high, wide = _size(header.height, header.width, options)
        high, wide = processor.frame_size(len(chosen), high, wide)
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from error
    if len(chosen) * high * wide > MOST_CHOSEN:
        raise RequestError(
            f"{where}: {len(chosen)} frames of {wide} x {high} pixels are more than "
            f"{MOST_CHOSEN:,} pixels together: have fewer of each second looked at, smaller ones, "
            "or cut it"
        )
    return chosen


def _size(height: int, width: int, options: MediaOptions) -> tuple[int, int]:
    edge, longest = options.max_edge, max(height, width)
    if edge is None or longest <= edge:
        return height, width
    return max(1, round(height * edge / longest)), max(1, round(width * edge / longest))


def _frames(av: Any, data: bytes, wanted: set[int]) -> Iterator[tuple[int, Pixels]]:
    """The wanted frames with their numbers, upright."""
    last = max(wanted)
    with _open(av, data) as container:
        container.streams.video[0].thread_type = "AUTO"
        container.streams.video[0].thread_count = 2
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                pixels = frame.to_ndarray(format="rgb24")
                yield index, np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
            if index == last:
                return


def _kept(
    frames: Iterator[tuple[int, Pixels]],
    chosen: Sequence[int],
    header: Header,
    where: str,
    processor: MediaProcessor,
    options: MediaOptions,
) -> Frames:
    """The chosen frames in the processor's size. A file with fewer than it says has its last one
    instead of those that are missing."""
    found: dict[int, Pixels] = {}
    size: tuple[int, int] | None = None
    for index, pixels in frames:
        if options.max_edge is not None:
            pixels = reduced(pixels, options.max_edge)
        shape = (pixels.shape[0], pixels.shape[1])
        size = size or shape
        if shape != size:
            raise RequestError(
                f"{where}: frame {index} has {shape[1]} x {shape[0]} pixels, the first has "
                f"{size[1]} x {size[0]}: all should be of one size"
            )
        try:
            high, wide = processor.frame_size(len(chosen), *size)
        except ValueError as error:
            raise RequestError(f"{where}: {error}") from error
        found[index] = processor.frame(pixels, high, wide)
    if not found or size is None:
        raise RequestError(f"{where} is a damaged video: none of its frames can be decoded")
    last = max(found)
    pictures = [found.get(index, found[last]) for index in chosen]
    return Frames(np.stack(pictures), list(chosen), header.rate, header.total, size)


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise RequestError(INSTALL) from error
