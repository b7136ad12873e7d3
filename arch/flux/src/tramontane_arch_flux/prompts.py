"""What a prompt becomes for the transformer: a row for each token, and one vector of the whole."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from tramontane.tokenizer.tokenizer import Tokenizer

from .clip_text import ClipText, text_ids
from .t5 import T5Encoder

KEPT = 8
"""Prompts that are kept encoded: other seeds and sizes of one need no encoder."""


@dataclass(frozen=True)
class Encoded:
    """rows: (tokens, wide). pooled: (1, wide of CLIP)."""

    rows: Tensor
    pooled: Tensor


class Prompts:
    """The two encoders with their tokenizers."""

    def __init__(
        self, clip: ClipText, t5: T5Encoder, clip_words: Tokenizer, t5_words: Tokenizer
    ) -> None:
        self.clip, self.t5 = clip, t5
        self.clip_words, self.t5_words = clip_words, t5_words

    def encode(self, prompt: str, tokens: int) -> Generator[None, None, Encoded]:
        """tokens: rows for T5, of which those behind the text are padding, which is attended to. A
        longer text is cut, of both encoders each by itself."""
        ids = text_ids(_ids(self.t5_words, prompt), tokens)
        padding = ids.new_full((tokens - len(ids),), self.t5.cfg.pad_token_id)
        most = self.clip.cfg.max_position_embeddings
        pooled = yield from self.clip.parts(text_ids(_ids(self.clip_words, prompt), most))
        rows = yield from self.t5.parts(torch.cat((ids, padding)))
        return Encoded(rows, pooled)

    def lost(self, prompt: str, tokens: int) -> int:
        """How many of a prompt's tokens are cut off for T5."""
        return max(0, len(_ids(self.t5_words, prompt)) - tokens)


def _ids(words: Tokenizer, prompt: str) -> list[int]:
    """Ids with what the tokenizer puts around a text, also where the text ends so already: CLIP's
    unknown pieces have the id of its end."""
    found: list[int] = words.inner.encode(prompt).ids
    return found


class Kept:
    """The last prompts that were encoded."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, int], Encoded] = OrderedDict()

    def get(self, prompt: str, tokens: int) -> Encoded | None:
        key = prompt, tokens
        if key in self._found:
            self._found.move_to_end(key)
        return self._found.get(key)

    def put(self, prompt: str, tokens: int, encoded: Encoded) -> None:
        self._found[prompt, tokens] = encoded
        while len(self._found) > KEPT:
            self._found.popitem(last=False)
