"""How Tramontane reads a checkpoint's tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tramontane.chat.template import ChatTemplate
from tramontane.checkpoint.checkpoint import Checkpoint, chat_templates
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import NoTokenizer, TemplateError
from tramontane.registry import Registry
from tramontane.tokenizer.tokenizer import Tokenizer

from .reference import Words

CHAT = ({"role": "user", "content": "Why is the sky blue?"},)
"""What the chat template is compared with."""


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer | None:
    """None where the checkpoint has none. Raises CheckpointError for a damaged one."""
    try:
        return checkpoint.tokenizer()
    except NoTokenizer:
        return None


def words_of(path: Path, registry: Registry, texts: Sequence[str]) -> Words:
    """Token ids of texts, and the chat."""
    checkpoint = open_checkpoint(path, registry)
    try:
        tokenizer = tokenizer_of(checkpoint)
        if tokenizer is None:
            return Words(why=f"{path.name} has no tokenizer")
        return Words(
            [tokenizer.encode(text) for text in texts],
            chat_of(checkpoint, tokenizer),
            text_of=lambda token: tokenizer.decode([token], skip_special=False),
        )
    finally:
        checkpoint.close()


def chat_of(checkpoint: Checkpoint, tokenizer: Tokenizer) -> str | None:
    """The chat as the template writes it; None without one, or where it refuses."""
    source, _ = chat_templates(checkpoint)
    if not source:
        return None
    try:
        return ChatTemplate(source, named=tokenizer.named).render(CHAT)
    except TemplateError:
        return None
