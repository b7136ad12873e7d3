"""Byte-pair encoding with listed merges: `tokenizer.ggml.model` = "gpt2"."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import tokenizers
from tokenizers import AddedToken, decoders, normalizers
from tokenizers.models import BPE
from tramontane.tokenizer.spm import CONTROL, SPACE, UNKNOWN, USER_DEFINED

from .pretokenizers import Pre

log = logging.getLogger(__name__)


def byte_bpe(
    tokens: Sequence[str], types: Sequence[int], merges: Sequence[str], pre: Pre
) -> tokenizers.Tokenizer:
    """A tokenizer of these tokens, in the order of their ids, and merges, "left right" each.

    A token that repeats an earlier one keeps its id but stands for nothing, and merges of what is
    no token are left out, as neither can come up.
    """
    ids = dict(zip(tokens, range(len(tokens)), strict=True))
    if len(ids) < len(tokens) or "" in ids:
        ids = {}
        for index, token in enumerate(tokens):
            ids.setdefault(token or f"[EMPTY_{index}]", index)
    inner = tokenizers.Tokenizer(_model(merges, ids, pre))
    inner.pre_tokenizer = pre.pre_tokenizer()
    if pre.raw:
        inner.normalizer = normalizers.Replace(" ", SPACE)
        inner.decoder = decoders.Sequence(
            [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        )
    else:
        inner.decoder = decoders.ByteLevel()
    add_tokens(inner, ids, types)
    return inner


def _model(merges: Sequence[str], ids: dict[str, int], pre: Pre) -> BPE:
    """Merges whose parts and result are tokens, the first of each."""
    make = partial(BPE, vocab=ids, ignore_merges=pre.whole_words, byte_fallback=pre.raw)
    # nearly all files have nothing to leave out, which the library sees soonest
    if len(set(merges)) == len(merges):
        try:
            pairs = [tuple(merge.split(" ", 1)) for merge in merges]
            return make(merges=cast("list[tuple[str, str]]", pairs))
        except Exception as error:  # noqa: BLE001 - it has no narrower one
            log.debug("merges are looked at one by one: %s", error)
    return make(merges=list(_usable(merges, ids)))


def _usable(merges: Iterable[str], ids: dict[str, int]) -> Iterable[tuple[str, str]]:
    """Those of all merges, also where a token begins with a space."""
    seen = set()
    for merge in merges:
        # a left part may itself begin with a space where tokens are raw text
        cut = merge.find(" ", 1)
        pair = merge[:cut], merge[cut + 1 :]
        known = cut > 0 and pair[0] in ids and pair[1] in ids and pair[0] + pair[1] in ids
        if known and pair not in seen:
            seen.add(pair)
            yield pair


def add_tokens(inner: tokenizers.Tokenizer, ids: dict[str, int], types: Sequence[int]) -> None:
    """Control tokens and user-defined ones are looked for in the text before it is cut."""
    special, plain = [], []
    for token, index in ids.items():
        if types[index] in (CONTROL, UNKNOWN):
            special.append(token)
        elif types[index] == USER_DEFINED:
            plain.append(AddedToken(token, normalized=False, special=False))
    # each call makes the search for all of them anew
    if special:
        inner.add_special_tokens(special)
    if plain:
        inner.add_tokens(plain)
