"""The tokenizer: a byte-level BPE cut as GPT-2 cuts, trained on what the generator says.

A word has the same tokens wherever it stands. GPT-2's own tokenizer joins the space before a word
to its first letters, so that a name in a question and the same name behind a quote would share
nothing, and a small model could not copy the one to the other. Here a space joins only whole
frequent words, and digits stay alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice

from generator import DOCUMENT, END, START, documents
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = (DOCUMENT, START, END)
SPACE = "Ġ"
SPACED = 0.3
"""Share of the learnt tokens that are a space and a frequent word."""
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train_tokenizer(vocab: int = 2048, sample: int = 12000, seed: int = 0) -> Tokenizer:
    """A tokenizer trained on the first documents of a seed."""
    texts = ["".join(text for text, _ in pieces) for pieces in islice(documents(seed), sample)]
    # The markers themselves are not text to learn merges from.
    clean = [strip(text) for text in texts]
    spaced = int((vocab - 256 - len(SPECIALS)) * SPACED)
    pieces = words_apart(clean, vocab - spaced)
    model = json.loads(pieces.to_str())["model"]
    known: dict[str, int] = model["vocab"]
    merges = [(m.split(" ") if isinstance(m, str) else m) for m in model["merges"]]
    for word in frequent(clean, known)[:spaced]:
        known[SPACE + word] = len(known)
        merges.append([SPACE, word])
    return of(known, [(left, right) for left, right in merges])


def of(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """The tokenizer of a vocabulary and its merges."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def words_apart(texts: list[str], vocab: int) -> Tokenizer:
    """A BPE that has met words without their spaces, and digits one by one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GPT2), "isolated"),
            pre_tokenizers.Split(Regex(r"^ (?=[\p{L}\p{N}])"), "isolated"),
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        # Words met less often than this are made up, or as good as that.
        min_frequency=3,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def frequent(texts: list[str], known: dict[str, int]) -> list[str]:
    """Tokens that often follow a space as a word, the most frequent first.

    Names stay out: they are what has to be copied.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(re.findall(r"(?<= )[A-Za-z]+", text))
    small = {word for word in counts if word in known and word.islower()}
    return [
        word
        for word, _ in counts.most_common()
        if word in small or (word in known and (word == "I" or word.lower() in small))
    ]


def strip(text: str) -> str:
    """The text without the markers of the chat format."""
    for special in SPECIALS:
        text = text.replace(special, "\n")
    return text
