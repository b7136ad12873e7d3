"""Tiny encoders of texts as transformers writes them, with vocabularies of three kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "A cat.",
    "The quick brown fox jumps over the lazy dog, and over the next one too.",
    "Wie schön ist das Wetter heute?",
    "a",
]
CORPUS = [*TEXTS, "cats and dogs and foxes", "heute ist das Wetter schön und warm"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


def word_piece() -> tokenizers.Tokenizer:
    """As BERT's: small letters, pieces of words."""
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))  # type: ignore[call-arg]
    made.normalizer = normalizers.BertNormalizer(lowercase=True)  # type: ignore[assignment]
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIAL)
    made.train_from_iterator(CORPUS, trainer)
    return _around(made, "[CLS]", "[SEP]")


def unigram() -> tokenizers.Tokenizer:
    """As XLM-R's: SentencePiece's, ids of <s>, <pad>, </s>, <unk> first."""
    made = tokenizers.Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore[assignment]
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )
    made.train_from_iterator(CORPUS, trainer)
    return _around(made, "<s>", "</s>")


def byte_level() -> tokenizers.Tokenizer:
    """As RoBERTa's and Qwen's: pairs of bytes."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(CORPUS, trainer)
    return _around(made, "<s>", "</s>")


def _around(made: tokenizers.Tokenizer, first: str, last: str) -> tokenizers.Tokenizer:
    pair = f"{first}:0 $A:0 {last}:0 $B:1 {last}:1"
    made.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(each, made.token_to_id(each)) for each in (first, last)],
    )
    return made


def write(
    folder: Path, made: Callable[[int], Any], tokenizer: tokenizers.Tokenizer, seed: int = 0
) -> Any:
    """A model of transformers, called with the vocabulary's size, with random weights; saved with
    its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = made(tokenizer.get_vocab_size())
    with torch.no_grad():
        for name, each in model.named_parameters():
            if each.dim() == 2:
                each.normal_(0, 0.7 / each.shape[1] ** 0.5)
            elif "norm" in name.lower() and name.endswith("weight"):
                each.add_(torch.randn_like(each) * 0.1)
            else:
                each.normal_(0, 0.1)
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    return model


def write_modules(folder: Path, *modules: tuple[str, dict[str, Any]], **about: Any) -> None:
    """What sentence-transformers writes beside a model, with its older names of classes."""
    listed = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    ]
    for index, (kind, config) in enumerate(modules, 1):
        path = f"{index}_{kind}"
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(config))
        listed.append({"idx": index, "name": str(index), "path": path,
                       "type": f"sentence_transformers.models.{kind}"})  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))


def rows(model: Any, tokenizer: tokenizers.Tokenizer, text: str) -> torch.Tensor:
    """The last hidden state of a text by transformers, (tokens, hidden)."""
    ids = torch.tensor([tokenizer.encode(text).ids])
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids))[0][0]
    return found
