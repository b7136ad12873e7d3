"""The tokenizer: a byte-level BPE of questions and answers, with the marks of pictures."""

from __future__ import annotations

from random import Random

from pictures import thing
from talks import SPECIALS, talk
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


def train_tokenizer(vocabulary: int = 512, sample: int = 6000, seed: int = 0) -> Tokenizer:
    """A tokenizer learnt from so many conversations; digits stay alone."""
    rng = Random(seed)
    texts = []
    for _ in range(sample):
        scenes = [tuple(thing(rng) for _ in range(rng.randint(1, 3)))]
        for text, _learnt in talk(scenes, rng, 4):
            for special in SPECIALS:
                text = text.replace(special, "")
            texts.append(text)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=3,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
