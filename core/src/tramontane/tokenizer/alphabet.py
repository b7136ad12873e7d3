"""GPT-2's byte alphabet: the mapping of bytes to characters in byte-level vocabularies."""

from __future__ import annotations


def _alphabet() -> dict[str, int]:
    """Printable bytes map to themselves, all others to characters from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTE_OF = _alphabet()
CHAR_OF = {byte: char for char, byte in BYTE_OF.items()}


def spell(data: bytes) -> str:
    """Encode bytes in the byte-level alphabet."""
    return "".join([CHAR_OF[byte] for byte in data])


def byte_level(piece: str) -> bytes:
    """The bytes of a piece in GPT-2's alphabet; a piece with other characters is plain UTF-8."""
    try:
        return bytes([BYTE_OF[char] for char in piece])
    except KeyError:
        return piece.encode()
