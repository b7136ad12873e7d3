"""A SentencePiece vocabulary as a `tokenizers.Tokenizer`, with merges derived from the scores.

SentencePiece repeatedly merges the two neighbours whose concatenation is the piece with the highest
score, leftmost first. The `tokenizers` package needs a list of merges instead: all ways to split a
piece into two pieces, ranked by the piece's score. Both give the same result unless overlapping
merges tie: pieces with equal scores, or two splits of one piece that share a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram

from tramontane.errors import CheckpointError

from .charsmap import check_charsmap

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Types of pieces, with SentencePiece's numbers; the same in GGUF."""

SPACE = "\u2581"
"""SentencePiece's replacement for a space."""

MOST_WORK = 10**9
"""Limit of characters copied to split all pieces; a real vocabulary of 256 k needs 2 * 10**7."""

UNREACHABLE = -1e6
"""A unigram score so low that such a piece is never used."""

Piece = tuple[str, float, int]
"""Text, score, type."""


def from_pieces(
    pieces: Sequence[Piece],
    *,
    model: Literal["bpe", "unigram"],
    add_prefix: bool = True,
    byte_fallback: bool = True,
    unk_id: int = 0,
    prefix_each: bool = True,
    collapse_spaces: bool = False,
    charsmap: bytes = b"",
) -> tokenizers.Tokenizer:
    """Build a tokenizer from pieces in the order of their ids.

    add_prefix: a space is prepended to text, SentencePiece's add_dummy_prefix.
    byte_fallback: a character without a piece becomes its UTF-8 bytes, else the unknown piece.
    prefix_each: the space is prepended to each segment between special tokens (each segment is
      encoded separately; Hugging Face's "legacy"), else only at the start of the complete text.
    collapse_spaces: SentencePiece's remove_extra_whitespaces.
    charsmap: SentencePiece's precompiled normalization rules, or empty.

    A piece that is empty, or has the text of an earlier one, has an id but is never used.
    Raises CheckpointError if the pieces are not a valid vocabulary.
    """
    if not pieces:
        raise CheckpointError("the vocabulary has no pieces")
    if not 0 <= unk_id < len(pieces):
        raise CheckpointError(f"the unknown piece's id {unk_id} is outside 0..{len(pieces) - 1}")
    ids: dict[str, int] = {}
    for index, (text, score, _) in enumerate(pieces):
        if not math.isfinite(score):
            raise CheckpointError(f"piece {index}, {text!r:.40}, has the score {score}")
        if text:
            ids.setdefault(text, index)
    in_text = frozenset(
        index
        for text, index in ids.items()
        if pieces[index][2] == NORMAL or _is_spaced(pieces[index], add_prefix)
    )
    if model == "bpe":
        merges = ranked_merges(pieces, ids, in_text)
        unknown = pieces[unk_id][0] or None
        inner = tokenizers.Tokenizer(
            BPE(
                vocab=ids,
                merges=merges,
                unk_token=unknown,
                fuse_unk=True,
                byte_fallback=byte_fallback,
            )
        )
    else:
        scored = list(_unigram_scores(pieces, in_text))
        inner = tokenizers.Tokenizer(Unigram(scored, unk_id=unk_id, byte_fallback=byte_fallback))
    _set_spaces(inner, add_prefix, prefix_each, collapse_spaces, charsmap)
    _add_tokens(inner, pieces, ids, add_prefix)
    return inner


def ranked_merges(
    pieces: Sequence[Piece], ids: dict[str, int], in_text: frozenset[int]
) -> list[tuple[str, str]]:
    """All splits of pieces into two, by descending score; for one piece, the longest left part
    first."""
    if (work := sum(len(text) ** 2 for text, _, _ in pieces)) > MOST_WORK:
        raise CheckpointError(f"the vocabulary's pieces are too long: {work=} over {MOST_WORK}")
    parts = {text for text, index in ids.items() if index in in_text}
    order = sorted(in_text, key=lambda index: (-_score(pieces[index]), index))
    merges = []
    for index in order:
        text = pieces[index][0]
        for cut in range(len(text) - 1, 0, -1):
            left = text[:cut]
            if left in parts and (right := text[cut:]) in parts:
                merges.append((left, right))
    return merges


def _is_spaced(piece: Piece, add_prefix: bool) -> bool:
    """Whether a user-defined piece must be an ordinary one: it has spaces, and `tokenizers` would
    prepend the prefix space to an added token too."""
    return piece[2] == USER_DEFINED and add_prefix and SPACE in piece[0]


def _score(piece: Piece) -> float:
    """The score of a piece for merging; user-defined pieces come first."""
    return float("inf") if piece[2] == USER_DEFINED else piece[1]


def _unigram_scores(
    pieces: Sequence[Piece], in_text: frozenset[int]
) -> Iterator[tuple[str, float]]:
    best = max((score for _, score, kind in pieces if kind == NORMAL), default=0.0)
    for index, (text, score, kind) in enumerate(pieces):
        if index not in in_text:
            yield text, UNREACHABLE
        elif kind == USER_DEFINED:
            yield text, len(text) * best - 0.1
        else:
            yield text, score


def _set_spaces(
    inner: tokenizers.Tokenizer,
    add_prefix: bool,
    prefix_each: bool,
    collapse_spaces: bool,
    charsmap: bytes,
) -> None:
    steps: list[normalizers.Normalizer] = []
    if charsmap:
        steps.append(normalizers.Precompiled(check_charsmap(charsmap)))
    if collapse_spaces:
        steps += [
            normalizers.Replace(Regex(r"\A +| +\z"), ""),  # Strip would take tabs and newlines too
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    if add_prefix and not prefix_each:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False)
    else:
        if add_prefix:
            steps.append(normalizers.Prepend(SPACE))
        steps.append(normalizers.Replace(" ", SPACE))
    if steps:
        inner.normalizer = normalizers.Sequence(steps)
    back = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if add_prefix:
        back.append(decoders.Strip(" ", 1, 0))
    inner.decoder = decoders.Sequence(back)


def _add_tokens(
    inner: tokenizers.Tokenizer, pieces: Sequence[Piece], ids: dict[str, int], add_prefix: bool
) -> None:
    """Add control and user-defined pieces, which are matched in the text before it is split."""
    special = []
    plain = []
    for text, index in ids.items():
        kind = pieces[index][2]
        if kind in (CONTROL, UNKNOWN):
            special.append(AddedToken(text, normalized=False, special=True))
        elif kind == USER_DEFINED and not _is_spaced(pieces[index], add_prefix):
            # a spelling with spaces is found after they are replaced
            plain.append(AddedToken(text, normalized=SPACE in text, special=False))
    inner.add_special_tokens(special)
    inner.add_tokens(plain)
