"""A model's vocabulary as the grammar library needs it: what each token writes, and how a text that
goes on in the middle of an answer is cut into tokens.

A tokenizer encodes a text of its own: SentencePiece puts a space in front, WordPiece between words,
normalization changes characters. Text that a grammar forces has to come out byte for byte, so what
an encoder gives is taken only where the tokens' bytes are the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from llguidance import LLTokenizer, TokenizerWrapper
from tramontane.sampling import SamplerContext

ANCHORS = ("\n", ":", ".", "(", "0", "a", "e")
"""Text before a text, so that this one is no beginning; the first that the vocabulary can write."""
LONGEST_WORD = 32
"""Bytes of a token that a text is cut into where the tokenizer's own way does not do."""
WINDOW = 1024
"""Bytes that are cut so at once."""
IN_UTF8 = frozenset([*range(0xC0), *range(0xC2, 0xF5)])
"""Bytes that a text may have."""


class Vocabulary:
    """words: the bytes of each token. special: tokens that are control, never text.

    leading: spaces at the start of an answer that are not part of its text. lacks: whether there is
    text that it cannot write, as some bytes have no token.
    """

    def __init__(self, context: SamplerContext) -> None:
        self.words = [context.token_bytes(index) for index in range(context.vocab_size)]
        self.special = context.special_ids | context.eos_ids
        self.ends = sorted(context.eos_ids)
        self.leading = context.leading_spaces
        self._context = context
        encoded = [(text, self._encoded(text)) for text in ANCHORS]
        self._anchors = [(text, ids) for text, ids in encoded if self._write(ids, text.encode(), 1)]
        self.tokenizer = wrapped(self.words, self.special, self.ends, self.cut)

    @cached_property
    def single(self) -> frozenset[int]:
        """Bytes that have a token of their own."""
        return frozenset(word[0] for word in self._of if len(word) == 1)

    @cached_property
    def lacks(self) -> bool:
        return not self.single.issuperset(IN_UTF8)

    @cached_property
    def spaces(self) -> npt.NDArray[np.bool_]:
        """(vocabulary,) which tokens begin with a space."""
        return np.array([word.startswith(b" ") for word in self.words], np.bool_)

    def cut(self, data: bytes) -> list[int]:
        """The tokens of a text inside an answer, as the tokenizer would cut it, or else few.

        Nothing where the vocabulary cannot write it.
        """
        text = data.decode("utf-8", "ignore")
        if text.encode() == data:
            ids = self._encoded(text)
            if self._write(ids, data):
                return ids
            for anchor, before in self._anchors:
                ids = self._encoded(anchor + text)
                if ids[: len(before)] == before and self._write(ids[len(before) :], data):
                    return ids[len(before) :]
        ids, start = [], 0
        while start < len(data):
            more, written = self._fewest(data[start : start + WINDOW])
            if not written or (written < WINDOW and start + written < len(data)):
                return []
            ids += more
            start += written
        return ids

    def towards(self, data: bytes) -> list[int]:
        """Tokens that may come next where this must follow, and no tokens write it alone: those
        after which the rest can be written, if something else follows in the last one's word."""
        window = data[:WINDOW]
        able = [False] * len(window)
        for start in reversed(range(len(window))):
            rest = window[start:]
            able[start] = any(
                size == len(rest) or able[start + size]
                for size in range(1, min(LONGEST_WORD, len(rest)) + 1)
                if rest[:size] in self._of
            ) or any(len(word) > len(rest) and word.startswith(rest) for word in self._of)
        return [
            token
            for word, token in self._of.items()
            if (word.startswith(window) and len(word) > len(window))
            or (window.startswith(word) and len(word) < len(window) and able[len(word)])
        ]

    def _encoded(self, text: str) -> list[int]:
        return list(self._context.encode(text))

    def _write(self, ids: Sequence[int], data: bytes, more: int = 0) -> bool:
        """Whether tokens write a text. more: spaces that may be in front of it."""
        if not ids or not self.special.isdisjoint(ids):
            return False
        found = b"".join([self.words[index] for index in ids])
        return found == data or (more > 0 and found.lstrip(b" ") == data)

    @cached_property
    def _of(self) -> Mapping[bytes, int]:
        """Tokens by what they write; of several the first."""
        found: dict[bytes, int] = {}
        for token, word in enumerate(self.words):
            if word and token not in self.special:
                found.setdefault(word, token)
        return found

    def _fewest(self, data: bytes) -> tuple[list[int], int]:
        """The fewest tokens for as much of the text as they can write, and how much that is."""
        best: list[tuple[int, int] | None] = [(0, 0), *[None] * len(data)]
        """(tokens, the last one's bytes) of the best way to write so many bytes."""
        for start in range(len(data)):
            if (way := best[start]) is None:
                continue
            for size in range(1, min(LONGEST_WORD, len(data) - start) + 1):
                known = best[start + size]
                if data[start : start + size] in self._of and (
                    known is None or way[0] + 1 <= known[0]
                ):
                    best[start + size] = way[0] + 1, size
        written = end = max(place for place, way in enumerate(best) if way is not None)
        ids: list[int] = []
        while end:
            size = (best[end] or (0, 1))[1]
            ids.append(self._of[data[end - size : end]])
            end -= size
        return ids[::-1], written


def wrapped(
    words: Sequence[bytes], special: Iterable[int], ends: Sequence[int], cut: object
) -> LLTokenizer:
    """The library's own form of a vocabulary. cut: text as bytes -> tokens; it must not raise."""

    class Words:
        """The attributes are what the library reads."""

        eos_token_id = ends[0]
        bos_token_id = None
        tokens = words
        special_token_ids = sorted(special)

        def __call__(self, text: bytes) -> list[int]:
            return cut(text)  # type: ignore[no-any-return, operator]

    return LLTokenizer(TokenizerWrapper(Words()), eos_token=list(ends))


@cache
def of_bytes() -> Vocabulary:
    """A vocabulary that can write everything, a byte at a time; its end token is 256."""
    words = [*(bytes([value]) for value in range(256)), b"<end>"]
    return Vocabulary(
        SamplerContext(
            vocab_size=len(words),
            seed=0,
            context_length=0,
            eos_ids=frozenset({256}),
            encode=lambda text: list(text.encode()),
            decode=lambda ids: b"".join(words[i] for i in ids).decode(errors="replace"),
            token_bytes=lambda index: words[index],
        )
    )
