"""Texts as a model of another task takes them: token ids within its limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenizers import Encoding

from tramontane.errors import RequestError
from tramontane.tokenizer.tokenizer import Tokenizer, around

LONGEST = 32
"""Characters for each token that a model takes, above which no part of a pair is read: a query is
read once for each document, and a token has about four."""
AT_ONCE = 1 << 20
"""Characters of pairs that are cut into tokens together, about."""


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
        pairs = [
            bounded(pair, f"pairs[{i}]", self.most, truncate=truncate)
            for i, pair in enumerate(pairs)
        ]
        ids, kinds = [], []
        for some in _portions(pairs):
            found = tokenizer.inner.encode_batch([pairs[index] for index in some])
            for index, each in zip(some, found, strict=True):
                kept = each
                if len(each.ids) > self.most and truncate:
                    kept = _shortened(tokenizer, *pairs[index], self.most)
                else:
                    self.fitted(each.ids, f"pairs[{index}]", truncate=False)
                ids.append(list(kept.ids))
                kinds.append(list(kept.type_ids))
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


def bounded(pair: tuple[str, str], where: str, most: int, *, truncate: bool) -> tuple[str, str]:
    """A pair of texts that are worth cutting into at most `most` tokens. truncate: whether longer
    ones are cut. Raises RequestError."""
    longest = max(map(len, pair))
    if longest <= most * LONGEST:
        return pair
    if not truncate:
        raise RequestError(
            f"{where} has a text of {longest} characters, far more than the {most} tokens that "
            "the model takes; shorten it, or ask for truncate"
        )
    return pair[0][: most * LONGEST], pair[1][: most * LONGEST]


def _portions(pairs: Sequence[tuple[str, str]]) -> Iterator[range]:
    """Indices of pairs, as many at once as their length allows."""
    start = total = 0
    for index, (query, document) in enumerate(pairs):
        if index > start and total + len(query) + len(document) > AT_ONCE:
            yield range(start, index)
            start, total = index, 0
        total += len(query) + len(document)
    if start < len(pairs):
        yield range(start, len(pairs))


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
