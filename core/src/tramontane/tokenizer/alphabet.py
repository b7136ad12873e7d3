"""GPT-2's byte alphabet, in which byte-level vocabularies are written."""

from __future__ import annotations


def _alphabet() -> dict[str, int]:
    """Printable bytes are themselves, the others come after U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTE_OF = _alphabet()
CHAR_OF = {byte: char for char, byte in BYTE_OF.items()}


def spell(data: bytes) -> str:
    """Bytes in the byte-level alphabet."""
    return "".join([CHAR_OF[byte] for byte in data])


def byte_level(piece: str) -> bytes:
    """A piece in GPT-2's alphabet; one with other characters stands for itself."""
    try:
        return bytes([BYTE_OF[char] for char in piece])
    except KeyError:
        return piece.encode()
