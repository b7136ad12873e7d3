"""Token ids to text as they come, never half a character."""

from __future__ import annotations

import codecs

from .tokenizer import Tokenizer


class Detokenizer:
    """The text of a growing sequence of token ids.

    All that `add` returns, and `finish` after it, is together what `Tokenizer.decode` makes of all
    ids, for any ids: the leading space of a SentencePiece text is dropped once, where the text
    starts, and nothing is cleaned up. An `add` costs what its token's bytes cost.
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._hidden = tokenizer.special_ids if skip_special else frozenset()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._leading = tokenizer.spelling.leading

    def add(self, index: int) -> str:
        """The text that this token completes; empty while a character is incomplete.

        Bytes that can no longer become a character are U+FFFD at once.
        """
        if index in self._hidden:
            return ""
        return self._start(self._utf8.decode(self._tokenizer.token_bytes(index)))

    def finish(self) -> str:
        """U+FFFD if the last character stayed incomplete, else nothing. To be called once."""
        return self._start(self._utf8.decode(b"", final=True))

    def _start(self, text: str) -> str:
        while self._leading and text:
            if text[0] != " ":
                self._leading = 0
                break
            text = text[1:]
            self._leading -= 1
        return text
