"""The tokenizer of a file before GGUF, which holds texts of tokens and, but for GGML, scores.

LLaMA's are SentencePiece's pieces as text: a space for U+2581, one byte for a byte, nothing for
control tokens. The others' are byte-level BPE without its merges, either as bytes or in GPT-2's
alphabet; each token is made of earlier ones, so that their order says what the merges were.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers.models import BPE
from tramontane.errors import CheckpointError, NoTokenizer
from tramontane.tokenizer.alphabet import BYTE_OF, spell
from tramontane.tokenizer.files import from_folder
from tramontane.tokenizer.spm import (
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNKNOWN,
    USER_DEFINED,
    from_pieces,
    ranked_merges,
)
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.byte_bpe import add_tokens
from tramontane_quant_gguf.endings import find_endings
from tramontane_quant_gguf.pretokenizers import PRE

from .header import OldFile

log = logging.getLogger(__name__)
BESIDE = "tokenizer.json"
LOST = "\ufffd".encode()
"""What a converter wrote for each token that is no text by itself."""
FIRST_PIECE = 259
"""Of LLaMA's vocabulary: before it are an unknown token, two control tokens and the bytes."""
END = "<|endoftext|>"
CUTS = {"bloom": "bloom", "falcon": "falcon"}
"""Families whose text is not cut into words as GPT-2's."""


def tokenizer_of(file: OldFile, path: Path) -> Tokenizer:
    """That of a tokenizer.json in the file's folder, else the file's own.

    Raises NoTokenizer where the file's own has lost texts, CheckpointError where the other one is
    damaged or has more tokens than the model.
    """
    size = file.fields["n_vocab"]
    if (beside := path.parent / BESIDE).exists():
        found = from_folder(path.parent)
        if found.vocab_size > size:
            raise CheckpointError(
                f"{beside} has {found.vocab_size} tokens, {path.name} {size}: it is another "
                "model's; move it away, or put this model's there"
            )
        log.info("%s: texts are cut by %s", path, beside)
        return found
    texts = [text for text, _ in file.vocabulary]
    if file.family.name == "llama":
        return _pieces(file, texts)
    if (lost := texts.count(LOST)) > 1:
        raise NoTokenizer(
            f"{path}: {lost} of its {size} tokens have lost their text when the file was made, as "
            f"those that are parts of a character do; put the model's {BESIDE} into its folder"
        )
    return _byte_level(texts, CUTS.get(file.family.name, "gpt-2"), path)


def _pieces(file: OldFile, texts: Sequence[bytes]) -> Tokenizer:
    pieces: list[tuple[str, float, int]] = []
    for index, (text, score) in enumerate(file.vocabulary):
        kind, shown = NORMAL, text.decode("utf-8", "replace").replace(" ", SPACE)
        if index == 0:
            kind, shown = UNKNOWN, "<unk>"
        elif not text:
            kind, shown = CONTROL, {1: "<s>", 2: "</s>"}.get(index, f"<empty_{index}>")
        elif index < FIRST_PIECE and len(text) == 1:
            kind, shown = BYTE, f"<0x{text[0]:02X}>"
        elif shown[0] + shown[-1] in ("<>", "[]") and len(shown) > 2:
            kind = USER_DEFINED
        # in training the best pieces came first, and their scores are their places
        pieces.append((shown, -float(index) if score is None else score, kind))
    inner = from_pieces(pieces, model="bpe", byte_fallback=True)
    names = {"unk_token": 0, "bos_token": 1, "eos_token": 2}
    named = {name: pieces[index][0] for name, index in names.items() if index < len(pieces)}
    return Tokenizer(
        inner, bos_id=1, eos_ids=(2,), add_bos=len(pieces) > 2, chat_bos=True, named=named
    )


def _byte_level(texts: Sequence[bytes], cuts: str, path: Path) -> Tokenizer:
    alphabet = any(text.startswith("\u0120".encode()) for text in texts)
    tokens = []
    for index, text in enumerate(texts):
        shown = text.decode("utf-8", "replace") if alphabet else _spelled(text)
        tokens.append(shown or f"[EMPTY_{index}]")
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        ids.setdefault(token, index)
    ends, kinds = find_endings(tokens, [_kind(token) for token in tokens], (ids.get(END),))
    ranked = [(token, -float(rank), kinds[rank]) for rank, token in enumerate(tokens)]
    in_text = frozenset(rank for rank in ids.values() if kinds[rank] == NORMAL)
    if missing := sum(char not in ids for char in BYTE_OF):
        log.warning("%s: its vocabulary lacks %d bytes: some texts lose characters", path, missing)
    merges = ranked_merges(ranked, ids, in_text)
    inner = tokenizers.Tokenizer(BPE(vocab=ids, merges=merges, ignore_merges=True))
    inner.pre_tokenizer = PRE[cuts].pre_tokenizer()
    inner.decoder = tokenizers.decoders.ByteLevel()
    add_tokens(inner, ids, kinds)
    named = {"bos_token": END, "eos_token": END} if END in ids else {}
    return Tokenizer(inner, bos_id=ids.get(END), eos_ids=ends, named=named)


def _spelled(text: bytes) -> str:
    """In GPT-2's alphabet, but a control token as it is."""
    control = text.startswith(b"<|") and text.endswith(b"|>")
    return text.decode("utf-8", "replace") if control else spell(text)


def _kind(token: str) -> int:
    return CONTROL if token.startswith("<|") and token.endswith("|>") else NORMAL
