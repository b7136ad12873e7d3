"""CLIP's tokenizer from `vocab.json` with `merges.txt`: lower case, and pieces that end words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

CLASS = "CLIPTokenizer"
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
"""Whatever its settings say: its checkpoints have no others."""
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def from_words(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> tokenizers.Tokenizer:
    """Build the tokenizer, which puts BOS and EOS around a text. Equals transformers'
    `CLIPTokenizer`. Raises ValueError for a vocabulary without the two."""
    if not {BOS, EOS} <= vocab.keys():
        raise ValueError(f"a vocabulary of {CLASS} has {BOS} and {EOS}")
    inner = tokenizers.Tokenizer(
        BPE(vocab=dict(vocab), merges=list(merges), end_of_word_suffix="</w>", unk_token=EOS)
    )
    inner.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.add_special_tokens([AddedToken(text, normalized=False) for text in (BOS, EOS)])
    inner.decoder = decoders.BPEDecoder(suffix="</w>")
    inner.post_processor = processors.RobertaProcessing(
        (EOS, vocab[EOS]), (BOS, vocab[BOS]), trim_offsets=False, add_prefix_space=False
    )
    return inner
