"""From the tokens of a window to segments of a transcript, and where the next window begins."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """Tokens, timestamps included, of a part of a window. start, end: seconds."""

    start: float
    end: float
    tokens: tuple[int, ...]


class Clock(NamedTuple):
    """first: id of the timestamp of 0 seconds. step: seconds between two timestamps. frame: seconds
    of a frame of the spectrogram. stride: frames of a step."""

    first: int
    step: float
    frame: float
    stride: int


def pieces_of(
    tokens: Sequence[int], clock: Clock, offset: float, frames: int
) -> tuple[list[Piece], int]:
    """The pieces of a window's text, without its end token, and by how many frames the sound goes
    on. offset: seconds at which the window begins. frames: of the window that are of the sound.

    Two timestamps side by side end a piece and begin the next. What stands behind the last two is
    not finished: the next window begins there. A single timestamp at the end means that nothing is
    said behind it.
    """
    stamped = [token >= clock.first for token in tokens]
    cuts = [place + 1 for place in range(len(tokens) - 1) if stamped[place] and stamped[place + 1]]
    if not cuts:
        return [_whole(tokens, stamped, clock, offset, frames)], frames
    alone = stamped[-2:] == [False, True]
    if alone:
        cuts.append(len(tokens))
    else:
        cuts[-1] += 1
    found, before = [], 0
    for cut in cuts:
        part = tuple(tokens[before:cut])
        last = part[-1] if cut != cuts[-1] or alone else part[-2]
        start, end = (offset + (token - clock.first) * clock.step for token in (part[0], last))
        found.append(Piece(start, end, part))
        before = cut
    if alone:
        return found, frames
    return found, (tokens[before - 2] - clock.first) * clock.stride


def _whole(
    tokens: Sequence[int], stamped: Sequence[bool], clock: Clock, offset: float, frames: int
) -> Piece:
    """All of a window as one piece, up to the last timestamp, if there is one."""
    last = int(frames * clock.frame / clock.step)
    stamps = [token for token, is_one in zip(tokens, stamped, strict=True) if is_one]
    if stamps and stamps[-1] != clock.first:
        last = stamps[-1] - clock.first
    return Piece(offset, offset + last * clock.step, tuple(tokens))


def context_of(pieces: Sequence[Sequence[int]], first: int, most: int) -> list[int]:
    """The last tokens of pieces, `most` at most, for the next window to go on from. first: id of
    the first timestamp; of two at a piece's end one is enough."""
    found: list[int] = []
    for tokens in pieces:
        doubled = len(tokens) > 2 and tokens[-2] >= first
        found += tokens[:-1] if doubled else tokens
    return found[-most:]


def compression_ratio(tokens: Sequence[int], vocabulary: int) -> float:
    """Bytes of token ids to those that zlib makes of them: high where a text repeats itself."""
    size = ((vocabulary.bit_length() - 1) // 8) + 1
    data = b"".join(token.to_bytes(size, "little") for token in tokens)
    return len(data) / len(zlib.compress(data)) if data else 0.0
