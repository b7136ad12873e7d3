"""How a vocabulary spells bytes: from a piece, as the vocabulary has it, to what it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tokenizers

from .alphabet import BYTE_OF, CHAR_OF, byte_level, spell
from .decoder_steps import EACH_BYTE, Form, form_of, fused, spaced, strip

__all__ = ["BYTE_OF", "CHAR_OF", "Spelling", "byte_level", "spell", "spelling_of"]


@dataclass(frozen=True)
class Spelling:
    """What a tokenizer's decoder does, token by token.

    forms: its steps. trimmed: a character, and how often it goes at the start and at the end of a
    text. repeats: whether a token that follows itself counts again. open_ended: whether a token's
    text depends on its being the last. errors: how bytes that are no UTF-8 are decoded.
    """

    forms: tuple[Form, ...]
    trimmed: tuple[str, int, int] = (" ", 0, 0)
    repeats: bool = True
    open_ended: bool = False
    errors: str = "replace"

    def bytes_of(self, piece: str, first: bool = False, last: bool = False) -> bytes:
        """A vocabulary piece's bytes, within a text unless it is the first or last token of it."""
        text = piece
        for form in self.forms:
            text = form(text, first, last)
        return text.encode("utf-8", "surrogateescape")

    @property
    def leading(self) -> int:
        """Spaces at the start of a text that are not part of it, as they were put there to encode
        it."""
        sign, start, _ = self.trimmed
        pieces = ("a", "\u2581a")
        dropped = (len(self.bytes_of(one)) - len(self.bytes_of(one, first=True)) for one in pieces)
        return (start if sign == " " else 0) + max(0, *dropped)

    def trim(self, text: str) -> str:
        """A text without what does not count at its ends: spaces put there to encode it."""
        return strip(text, *self.trimmed)

    def trim_end(self, text: str) -> str:
        sign, _, stop = self.trimmed
        return strip(text, sign, 0, stop)


def spelling_of(inner: tokenizers.Tokenizer) -> Spelling:
    """What the tokenizer's decoder says; without one, a byte-level splitter says it too."""
    steps = list(_steps(inner.decoder))
    kinds = {step["type"] for step in steps}
    if not steps:
        splits = {step["type"] for step in _steps(inner.pre_tokenizer)}
        if "ByteLevel" not in splits:
            return Spelling((spaced,))
        steps = [{"type": "ByteLevel"}]
    forms: list[Form] = []
    trimmed = (" ", 0, 0)
    joined = False
    for step in steps:
        if step["type"] == "Strip" and joined:
            trimmed = (step["content"], step["start"], step["stop"])
        elif (form := form_of(step)) is not None:
            forms.append(fused(form) if joined else form)
        joined |= step["type"] in ("Fuse", "ByteLevel")
    return Spelling(
        tuple(forms),
        trimmed,
        repeats="CTC" not in kinds,
        open_ended="BPEDecoder" in kinds,
        errors=EACH_BYTE if "ByteFallback" in kinds else "replace",
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
