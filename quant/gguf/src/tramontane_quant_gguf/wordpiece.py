"""WordPiece: `tokenizer.ggml.model` = "bert".

GGUF marks the pieces that begin a word with U+2581, where BERT's vocabulary marks the others
with ##.
"""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tramontane.tokenizer.spm import CONTROL, SPACE, UNKNOWN, USER_DEFINED

from .byte_bpe import add_tokens


def wordpiece(
    tokens: Sequence[str],
    types: Sequence[int],
    unknown: int,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
) -> tokenizers.Tokenizer:
    """A tokenizer of these tokens, in the order of their ids. unknown: the id of what stands
    for a word that has no pieces."""
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if types[index] in (CONTROL, UNKNOWN, USER_DEFINED):
            spelled = token
        elif token.startswith(SPACE):
            spelled = token.removeprefix(SPACE)
        else:
            spelled = f"##{token}"
        ids.setdefault(spelled, index)
    spelling = {index: spelled for spelled, index in ids.items()}
    inner = tokenizers.Tokenizer(WordPiece(vocab=ids, unk_token=spelling[unknown]))
    inner.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    add_tokens(inner, ids, types)
    return inner
