"""The passages of pages that answer a question best: by BM25, or by an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .pages import Page

LONGEST = 1200
"""Characters of a passage."""
MOST = 2000
"""Passages of all pages together that are ranked."""


class Passage(NamedTuple):
    """Part of a page. page: its place among the pages."""

    page: int
    text: str


def passages_of(pages: Sequence[Page]) -> list[Passage]:
    """Pages in passages of whole paragraphs, as far as these are short enough."""
    found: list[Passage] = []
    for index, page in enumerate(pages):
        part = ""
        for paragraph in page.text.splitlines():
            pieces = [paragraph[i : i + LONGEST] for i in range(0, len(paragraph), LONGEST)]
            for piece in pieces:
                if part and len(part) + len(piece) >= LONGEST:
                    found.append(Passage(index, part))
                    part = ""
                part = f"{part}\n{piece}" if part else piece
        if part.strip():
            found.append(Passage(index, part))
    return found[:MOST]


def ranked(query: str, passages: Sequence[Passage], count: int, embed: str | None) -> list[Passage]:
    """The best passages, best first. embed: a model of vectors, as `-m` names it."""
    if len(passages) <= 1:
        return list(passages)
    count = min(count, len(passages))
    order = _by_vectors(query, passages, embed) if embed else _by_words(query, passages, count)
    return [passages[index] for index in order[:count]]


def _by_words(query: str, passages: Sequence[Passage], count: int) -> list[int]:
    import bm25s

    index = bm25s.BM25()
    texts = [passage.text for passage in passages]
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    asked = bm25s.tokenize([query], show_progress=False)
    if not any(asked.ids):
        return list(range(count))
    found = index.retrieve(asked, k=count, show_progress=False)
    return [int(place) for place in found.documents[0]]


def _by_vectors(query: str, passages: Sequence[Passage], embed: str) -> list[int]:
    import numpy as np

    vectors = _embedder(embed).embed([query, *(passage.text for passage in passages)])
    scores = vectors[1:] @ vectors[0]
    return [int(place) for place in np.argsort(-scores, kind="stable")]


@lru_cache(maxsize=1)
def _embedder(name: str) -> Any:
    """One model for all conversations: it is loaded once."""
    from tramontane import Embedder

    return Embedder(name)
