"""Byte-level BPE tokenizers from `vocab.json` with `merges.txt`, or Mistral's `tekken.json`."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from tramontane.errors import CheckpointError

from .byte_alphabet import spell
from .clip_words import CLASS as CLIP
from .clip_words import from_words
from .errors import damage_in
from .json_file import LARGE, read_object, read_text
from .spm import NORMAL, ranked_merges

SPLITS = {
    "Qwen2Tokenizer": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
}
"""Pre-tokenization patterns by tokenizer_class, if not GPT-2's; used with NFC normalization."""


def from_vocab_and_merges(
    folder: Path, *, tokenizer_class: str, add_prefix_space: bool
) -> tokenizers.Tokenizer:
    """Build a tokenizer from vocab.json and merges.txt. Raises CheckpointError if they are damaged
    or do not match."""
    path = folder / "vocab.json"
    vocab = read_object(path, LARGE)
    for text, index in vocab.items():
        if not isinstance(index, int) or not 0 <= index < 1 << 32:
            raise CheckpointError(f"{path}: {text!r:.40} should have a token id, not {index!r:.80}")
    merges = []
    path = folder / "merges.txt"
    for number, line in enumerate(read_text(path, LARGE).split("\n"), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        pair = line.rstrip("\r").split(" ")
        if len(pair) != 2:
            raise CheckpointError(f"{path}: line {number} should be two pieces: {line!r:.80}")
        merges.append((pair[0], pair[1]))
    with damage_in(path):
        if tokenizer_class.removesuffix("Fast") == CLIP:
            return from_words(vocab, merges)
        inner = tokenizers.Tokenizer(BPE(vocab=vocab, merges=merges))
    pattern = SPLITS.get(tokenizer_class.removesuffix("Fast"))
    if pattern:
        inner.normalizer = normalizers.NFC()
    _split(inner, pattern, add_prefix_space)
    return inner


def from_tekken(path: Path) -> tokenizers.Tokenizer:
    """Build a tokenizer from tekken.json: byte strings by merge rank, after the special tokens.

    Raises CheckpointError if it is damaged.
    """
    data = read_object(path, LARGE)
    try:
        config = data["config"]
        special = int(config["default_num_special_tokens"])
        size = int(config["default_vocab_size"]) - special
        pattern = str(config["pattern"])
        listed = data["vocab"][:size]
        named = {
            int(token["rank"]): str(token["token_str"]) for token in data["special_tokens"] or ()
        }
        texts = [_spelled(token) for token in listed]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        what = f"{type(error).__name__} {error}"
        raise CheckpointError(f"{path} is not a tekken vocabulary: {what}") from error
    if not 0 < special <= 1 << 20 or len(texts) != size or len(set(texts)) != size:
        raise CheckpointError(f"{path}: its vocabulary does not have {size} different tokens")
    names = [named.get(index, f"<SPECIAL_{index}>") for index in range(special)]
    vocab = {text: index for index, text in enumerate([*names, *texts])}
    if len(vocab) != special + size:
        raise CheckpointError(f"{path}: special tokens repeat a text")
    pieces = [(text, -float(rank), NORMAL) for rank, text in enumerate(texts)]
    ranks = {text: rank for rank, text in enumerate(texts)}
    merges = ranked_merges(pieces, ranks, frozenset(range(size)))
    inner = tokenizers.Tokenizer(BPE(vocab=vocab, merges=merges, ignore_merges=True))
    with damage_in(path):
        _split(inner, pattern, add_prefix_space=False)
    inner.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    return inner


def _spelled(token: Any) -> str:
    return spell(base64.b64decode(token["token_bytes"], validate=True))


def _split(inner: tokenizers.Tokenizer, pattern: str | None, add_prefix_space: bool) -> None:
    if pattern is None:
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space, use_regex=True)
    else:
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space, use_regex=False),
            ]
        )
    inner.decoder = decoders.ByteLevel()
