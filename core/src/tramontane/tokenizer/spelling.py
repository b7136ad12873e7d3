"""How a vocabulary spells bytes: from a piece, as the vocabulary has it, to what it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tokenizers

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _alphabet() -> dict[str, int]:
    """GPT-2's byte alphabet: printable bytes are themselves, the others come after U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTE_OF = _alphabet()
CHAR_OF = {byte: char for char, byte in BYTE_OF.items()}


def spell(data: bytes) -> str:
    """Bytes in the byte-level alphabet."""
    return "".join([CHAR_OF[byte] for byte in data])


@dataclass(frozen=True)
class Spelling:
    """bytes_of: a vocabulary piece's bytes.
    leading: spaces that do not count at the start of a text, as they were put there to encode it.
    """

    bytes_of: Callable[[str], bytes]
    leading: int = 0


def spelling_of(inner: tokenizers.Tokenizer) -> Spelling:
    """What the tokenizer's decoder says; without one, a byte-level splitter says it too."""
    steps = list(_steps(inner.decoder))
    kinds = {step["type"] for step in steps}
    splits = {step["type"] for step in _steps(inner.pre_tokenizer)}
    if "ByteLevel" in kinds or (not kinds and "ByteLevel" in splits):
        return Spelling(byte_level)
    if "WordPiece" in kinds:
        (prefix,) = (step["prefix"] for step in steps if step["type"] == "WordPiece")
        return Spelling(lambda piece: _word(piece, prefix), leading=1)
    if "BPEDecoder" in kinds:
        (suffix,) = (step["suffix"] for step in steps if step["type"] == "BPEDecoder")
        return Spelling(lambda piece: piece.replace(suffix, " ").encode())
    if not kinds:
        return Spelling(lambda piece: b" " + piece.encode(), leading=1)
    replaced = []
    leading = 0
    for step in steps:
        if step["type"] == "Metaspace":
            replaced.append((step["replacement"], " "))
            leading += step.get("prepend_scheme", "always") != "never"
        elif step["type"] == "Replace" and "String" in step["pattern"]:
            replaced.append((step["pattern"]["String"], step["content"]))
        elif step["type"] == "Strip" and step["content"] == " ":
            leading += step["start"]
    has_bytes = "ByteFallback" in kinds
    return Spelling(lambda piece: _sentencepiece(piece, replaced, has_bytes), leading)


def byte_level(piece: str) -> bytes:
    """A piece in GPT-2's alphabet; one with other characters stands for itself."""
    try:
        return bytes([BYTE_OF[char] for char in piece])
    except KeyError:
        return piece.encode()


def _sentencepiece(piece: str, replaced: list[tuple[str, str]], has_bytes: bool) -> bytes:
    if has_bytes and (match := _BYTE.fullmatch(piece)):
        return bytes([int(match[1], 16)])
    for old, new in replaced:
        piece = piece.replace(old, new)
    return piece.encode()


def _word(piece: str, prefix: str) -> bytes:
    return (
        piece.removeprefix(prefix).encode() if piece.startswith(prefix) else b" " + piece.encode()
    )


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """The parts of a decoder or pre-tokenizer, sequences opened."""
    if part is None:
        return
    stack = [json.loads(part.__getstate__())]
    while stack:
        step = stack.pop()
        if step["type"] == "Sequence":
            stack.extend(reversed(step.get("decoders") or step.get("pretokenizers") or []))
        else:
            yield step
