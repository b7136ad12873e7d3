"""How a vocabulary represents bytes: from a vocabulary piece to the bytes of its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tokenizers

from .alphabet import BYTE_OF, CHAR_OF, byte_level, spell
from .decoder_steps import EACH_BYTE, Form, form_of, fused, spaced, strip

__all__ = ["BYTE_OF", "CHAR_OF", "Spelling", "byte_level", "spell", "spelling_of"]


@dataclass(frozen=True)
class Spelling:
    """A tokenizer's decoder, applied token by token.

    forms: its steps. trimmed: a character, and how many of it are removed at the start and at the
    end of a text. repeats: whether consecutive equal tokens are decoded separately. open_ended:
    whether the text of the last token differs. errors: handler for invalid UTF-8.
    """

    forms: tuple[Form, ...]
    trimmed: tuple[str, int, int] = (" ", 0, 0)
    repeats: bool = True
    open_ended: bool = False
    errors: str = "replace"

    def bytes_of(self, piece: str, first: bool = False, last: bool = False) -> bytes:
        """The bytes of a vocabulary piece; first, last: at the start or the end of a text."""
        text = piece
        for form in self.forms:
            text = form(text, first, last)
        return text.encode("utf-8", "surrogateescape")

    @cached_property
    def leading(self) -> int:
        """Number of spaces that encoding adds at the start of a text, and decoding removes."""
        sign, start, _ = self.trimmed
        pieces = ("a", "\u2581a")
        dropped = (len(self.bytes_of(one)) - len(self.bytes_of(one, first=True)) for one in pieces)
        return (start if sign == " " else 0) + max(0, *dropped)

    def trim(self, text: str) -> str:
        """Remove the spaces at both ends of a text that encoding has added."""
        return strip(text, *self.trimmed)

    def trim_end(self, text: str) -> str:
        sign, _, stop = self.trimmed
        return strip(text, sign, 0, stop)


def spelling_of(inner: tokenizers.Tokenizer) -> Spelling:
    """The spelling of a tokenizer, from its decoder, or from a byte-level pre-tokenizer."""
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
    """The steps of a decoder or pre-tokenizer, with sequences flattened."""
    if part is None:
        return
    stack = [json.loads(part.__getstate__())]
    while stack:
        step = stack.pop()
        if step["type"] == "Sequence":
            stack.extend(reversed(step.get("decoders") or step.get("pretokenizers") or []))
        else:
            yield step
