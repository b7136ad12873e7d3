"""A tiny random Llama with a byte-level tokenizer and a chat template, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

SPECIALS = ["<|end|>", "<|start|>"]
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def write_tokenizer(folder: Path) -> int:
    """Bytes as tokens, and two special ones; returns the size of the vocabulary."""
    letters = sorted(ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)  # type: ignore[assignment]
    tokenizer.decoder = ByteLevelDecoder()  # type: ignore[assignment]
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|end|>", "chat_template": TEMPLATE, "model_max_length": 256}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(letters) + len(SPECIALS)


def write_model(
    folder: Path, tokenizer: Callable[[Path], int] = write_tokenizer, **overrides: Any
) -> Any:
    """The model in transformers, saved in `folder` with its tokenizer.

    tokenizer: writes that, its end token the last but one, and returns the vocabulary's size.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer(folder)
    settings = {
        "vocab_size": vocabulary,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "eos_token_id": vocabulary - 2,
        "bos_token_id": None,
        "pad_token_id": None,
    }
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**{**settings, **overrides}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 0.2)
    model.eval().save_pretrained(folder)
    return model
