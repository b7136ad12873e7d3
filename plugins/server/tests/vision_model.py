"""A tiny random model that takes images, in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers
from tramontane.checkpoint.build import build
from tramontane.checkpoint.weight_map import slots
from tramontane.config import read_config
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

NAME = "Gemma3ForConditionalGeneration"
SPECIAL = ("<s>", "</s>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.content is string %}"
    "{{ m.content }}{% else %}{% for p in m.content %}{% if p.type == 'image' %}<start_of_image>"
    "{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}[assistant]"
)


def write_vision_model(folder: Path) -> None:
    """Gemma 3 in its tiny example, with bytes as a vocabulary."""
    write_media_model(folder, NAME, SPECIAL, TEMPLATE)


def write_media_model(folder: Path, name: str, special: Sequence[str], template: str) -> None:
    """The tiny example of an architecture. special: tokens beside bytes, the first two BOS and EOS.
    template: of chats."""
    folder.mkdir()
    offer = Registry.from_environment().get(Architecture, name)
    config = {**offer.example, "architectures": [name], "vocab_size": 256 + len(special)}
    (folder / "config.json").write_text(json.dumps(config))
    model = build(offer, read_config(load(offer.config), config))
    torch.manual_seed(1)
    tensors = {
        name: torch.randn(slot.shape) * 0.3
        for name, slot in slots(model).items()
        if name != "lm_head.weight" or not offer.example.get("tie_word_embeddings")
    }
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.add_special_tokens(list(special))
    inner.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    (folder / "chat_template.jinja").write_text(template)
