"""The tokenizer of a model that has none: token ids are used as they are, text is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

import tokenizers

from tramontane.errors import NoTokenizer, RequestError

from .tokenizer import Tokenizer


class AbsentTokenizer(Tokenizer):
    """Every token is no text, and whatever needs a text raises RequestError with the way out.

    why: what the model's files lack. eos_ids: tokens that end an answer, from its configuration.
    """

    def __init__(self, why: NoTokenizer, eos_ids: Sequence[int]) -> None:
        super().__init__(tokenizers.Tokenizer(tokenizers.models.BPE()), eos_ids=eos_ids)
        self.missing = f"{why}; without one, this model takes and returns token ids only"

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = True
    ) -> list[int]:
        self._refuse()

    def encode_chat(self, text: str) -> list[int]:
        self._refuse()

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        self._refuse()

    def piece(self, index: int) -> str:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RequestError(self.missing or "")


def end_tokens(*values: object) -> list[int]:
    """The first of some `eos_token_id` that has any: an id, or several."""
    for value in values:
        found = value if isinstance(value, list) else [value]
        ids = [each for each in found if isinstance(each, int) and not isinstance(each, bool)]
        if ids:
            return ids
    return []
