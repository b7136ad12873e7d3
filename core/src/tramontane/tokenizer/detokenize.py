"""Incremental detokenization, which never splits a character."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from functools import partial

from .tokenizer import Tokenizer


class Detokenizer:
    """The text of a growing sequence of token ids.

    The concatenated results of all `add` calls and of `finish` equal `Tokenizer.decode` of all ids,
    for any ids: what the decoder does at the start and the end of a text is applied once. The cost
    of `add` is proportional to its token's bytes.

    within: the text continues another one, so its start is not the start of a text. dropped: number
    of leading spaces that are removed nevertheless.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        skip_special: bool = True,
        *,
        within: bool = False,
        dropped: int = 0,
    ) -> None:
        spelling = tokenizer.spelling
        self._tokenizer, self._spelling = tokenizer, spelling
        self._hidden = tokenizer.special_ids if skip_special else frozenset()
        self._utf8 = codecs.getincrementaldecoder("utf-8")(spelling.errors)
        self._sign, self._leading, self._trailing = spelling.trimmed
        self._before: int | None = None
        if within:
            self._before, self._sign, self._leading = -1, " ", dropped
        self._tail = ""
        """Text that is removed if it is at the end of the complete text."""
        self._within = self._end = b""
        """The end of the last token's bytes: if another token follows, and if none does."""

    @property
    def bytes_here(self) -> Callable[[int], bytes]:
        """A function for the bytes that a token would have as the next one passed to `add`."""
        if self._before is not None and not self._leading:
            return self._tokenizer.token_bytes
        return partial(self._bytes, self._before is None, self._leading)

    def add(self, index: int) -> str:
        """The new text with this token; empty while a character is incomplete.

        Bytes that cannot become a valid character are replaced by U+FFFD at once.
        """
        if index in self._hidden or not self._tokenizer.has(index):
            return ""
        if index == self._before and not self._spelling.repeats:
            return ""
        first, self._before = self._before is None, index
        data = self._tokenizer.token_bytes(index, first=first)
        if self._spelling.open_ended:
            end = self._tokenizer.token_bytes(index, first=first, last=True)
            differ = (i for i, (a, b) in enumerate(zip(data, end, strict=False)) if a != b)
            same = next(differ, min(len(data), len(end)))
            data, held = self._within + data[:same], data[same:]
            self._within, self._end = held, end[same:]
        return self._trim(self._utf8.decode(data))

    def finish(self) -> str:
        """The remaining text: U+FFFD if the last character is incomplete, and text that only a last
        token has. To be called once."""
        return self._trim(self._utf8.decode(self._end, final=True))

    def _bytes(self, first: bool, leading: int, index: int) -> bytes:
        if index in self._hidden:
            return self._tokenizer.token_bytes(index)
        data, sign = self._tokenizer.token_bytes(index, first=first), self._sign.encode()
        while leading and data.startswith(sign):
            data, leading = data[len(sign) :], leading - 1
        return data

    def _trim(self, text: str) -> str:
        while self._leading and text:
            if text[0] != self._sign:
                self._leading = 0
                break
            text = text[1:]
            self._leading -= 1
        if not self._trailing:
            return text
        text = self._tail + text
        visible = self._spelling.trim_end(text)
        self._tail = text[len(visible) :]
        return visible
