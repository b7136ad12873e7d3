"""The tokenizer: a byte-level BPE cut as GPT-2 cuts, trained on what the generator says."""

from __future__ import annotations

from itertools import islice

from generator import DOCUMENT, END, START, documents
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = (DOCUMENT, START, END)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_tokenizer(vocab: int = 2048, sample: int = 12000, seed: int = 0) -> Tokenizer:
    """A tokenizer trained on the first documents of a seed."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        # Words met less often than this are made up, or as good as that.
        min_frequency=3,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = ("".join(text for text, _ in pieces) for pieces in islice(documents(seed), sample))
    # The markers themselves are not text to learn merges from.
    clean = (strip(text) for text in texts)
    tokenizer.train_from_iterator(clean, trainer)
    return tokenizer


def strip(text: str) -> str:
    """The text without the markers of the chat format."""
    for special in SPECIALS:
        text = text.replace(special, "\n")
    return text
