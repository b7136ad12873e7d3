"""Validate SentencePiece's precompiled normalization rules, which the library does not check.

    length u32 | units u32 x length / 4 | replacements, UTF-8, each ended by a zero

The units are a double-array trie over bytes. From a position, byte c leads to the unit at
position ^ c, if that unit's label is c; its offset gives the next position, where a leaf stores its
value: the offset of a replacement. Source: Darts-clone's unit layout, as SentencePiece uses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tramontane.errors import CheckpointError

Units = NDArray[np.uint32]


def check_charsmap(data: bytes) -> bytes:
    """Return the same bytes if no lookup can leave their bounds. Raises CheckpointError."""
    length = int.from_bytes(data[:4], "little")
    if length < 4 or length % 4 or 4 + length > len(data):
        raise CheckpointError(f"the normalization rules claim {length} of {len(data)} bytes")
    units = np.frombuffer(data, "<u4", length // 4, 4)
    replacements = np.frombuffer(data, np.uint8, offset=4 + length)
    try:
        str(replacements.tobytes(), "utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            "the replacements of the normalization rules are not UTF-8"
        ) from error
    seen = np.zeros(len(units), bool)
    positions = _offset(units[:1])
    byte = np.arange(1, 256, dtype=np.uint32)
    while len(positions):
        places = _within(positions[:, None] ^ byte, units)
        taken = (units[places] & 0x800000FF) == byte
        places = np.unique(places[taken])
        places = places[~seen[places]]
        seen[places] = True
        positions = places ^ _offset(units[places])
        leaves = _within(positions[(units[places] >> 8 & 1) == 1], units)
        _check_values(units[leaves] & np.uint32(0x7FFFFFFF), replacements)
    return data


def _offset(units: Units) -> Units:
    offsets: Units = (units >> np.uint32(10)) << ((units & np.uint32(0x200)) >> np.uint32(6))
    return offsets


def _within(places: Units, units: Units) -> Units:
    if places.size and int(places.max()) >= len(units):
        raise CheckpointError("the normalization rules lead outside of themselves")
    return places


def _check_values(values: Units, replacements: NDArray[np.uint8]) -> None:
    if values.size and int(values.max()) >= len(replacements):
        raise CheckpointError("the normalization rules name a replacement that is not there")
    if (replacements[values] & 0xC0 == 0x80).any():
        raise CheckpointError("the normalization rules name half a character as replacement")
