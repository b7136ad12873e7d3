"""Texts as a model of another task takes them: token ids within its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding

from tramontane.errors import RequestError
from tramontane.tokenizer.tokenizer import Tokenizer, around


@dataclass(frozen=True)
class TextsIn:
    """tokenizer: of the model; None: it takes token ids only. most: tokens of a text, at most.
    vocabulary: ids that the model knows."""

    tokenizer: Tokenizer | None
    most: int
    vocabulary: int

    def texts(self, texts: Sequence[str], what: str, *, truncate: bool) -> list[list[int]]:
        """Token ids with what the tokenizer puts around a text. what: how errors call them.

        truncate: whether what is too long is cut, with what is put behind kept. Raises
        RequestError.
        """
        for index, text in enumerate(texts):
            _refuse_text(text, f"{what}[{index}]")
        if not texts:
            return []
        tokenizer = self._tokenizer()
        if tokenizer.around == around(tokenizer.inner):
            found = [list(each.ids) for each in tokenizer.inner.encode_batch(list(texts))]
        else:
            found = [tokenizer.encode(text) for text in texts]
        ends = len(tokenizer.around[1])
        return [
            self.fitted(ids, f"{what}[{index}]", truncate=truncate, keep=ends)
            for index, ids in enumerate(found)
        ]

    def pairs(
        self, pairs: Sequence[tuple[str, str]], *, truncate: bool
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of pairs, and which of the two each token belongs to. Raises RequestError."""
        tokenizer = self._tokenizer()
        for index, (query, document) in enumerate(pairs):
            _refuse_text(query, f"pairs[{index}][0]")
            _refuse_text(document, f"pairs[{index}][1]")
        found = tokenizer.inner.encode_batch(list(pairs))
        ids, kinds = [], []
        for index, each in enumerate(found):
            over = len(each.ids) - self.most
            if over > 0 and truncate:
                kept = _shortened(tokenizer, *pairs[index], self.most)
                ids.append(list(kept.ids))
                kinds.append(list(kept.type_ids))
                continue
            self.fitted(each.ids, f"pairs[{index}]", truncate=False)
            ids.append(list(each.ids))
            kinds.append(list(each.type_ids))
        return ids, kinds

    def fitted(self, ids: Sequence[int], where: str, *, truncate: bool, keep: int = 0) -> list[int]:
        """Ids that are not too many, and known. keep: how many of the last ones stay where they are
        cut. Raises RequestError."""
        if not ids:
            raise RequestError(f"{where} is empty; give at least one token")
        unknown = next((token for token in ids if not 0 <= token < self.vocabulary), None)
        if unknown is not None:
            raise RequestError(
                f"{where}: token {unknown} is outside the vocabulary of {self.vocabulary}"
            )
        if len(ids) <= self.most:
            return list(ids)
        if not truncate:
            raise RequestError(
                f"{where} has {len(ids)} tokens, {len(ids) - self.most} more than the model takes, "
                f"{self.most}; shorten it, or ask for truncate"
            )
        last = list(ids[len(ids) - keep :]) if keep else []
        return [*ids[: self.most - len(last)], *last]

    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None or self.tokenizer.missing:
            raise RequestError("the model has no tokenizer, so it takes lists of token ids only")
        return self.tokenizer


def _refuse_text(text: str, where: str) -> None:
    if not text.strip():
        raise RequestError(f"{where} is empty; give a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{where}: character {error.start} is half of a surrogate pair; send valid Unicode"
        ) from error


def _shortened(tokenizer: Tokenizer, query: str, document: str, most: int) -> Encoding:
    """A pair of at most `most` tokens: the longer text gives way first, as in transformers."""
    inner = tokenizer.inner
    one, two = (inner.encode(text, add_special_tokens=False) for text in (query, document))
    both = len(one.ids) + len(two.ids)
    room = max(0, most - (len(inner.encode(query, document).ids) - both))
    first, second = sorted((len(one.ids), len(two.ids)))
    second = first if first > room else max(first, room - first)
    if first + second > room:
        first, second = room // 2, room // 2 + room % 2
    if len(one.ids) > len(two.ids):
        first, second = second, first
    one.truncate(first)
    two.truncate(second)
    return inner.post_process(one, two)
