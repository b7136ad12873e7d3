"""A checkpoint's tokenizer, or what stands for one that is not there."""

from __future__ import annotations

from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.errors import NoTokenizer
from tramontane.tokenizer.tokenizer import Tokenizer


def read_tokenizer(checkpoint: Checkpoint, token_ids: bool) -> Tokenizer:
    """token_ids: whether a model without one will do. Raises NoTokenizer, CheckpointError."""
    try:
        return checkpoint.tokenizer()
    except NoTokenizer as error:
        if not token_ids:
            raise
        from tramontane.tokenizer.absent import AbsentTokenizer, end_tokens

        told = (checkpoint.generation_defaults(), checkpoint.header.config)
        return AbsentTokenizer(error, end_tokens(*(each.get("eos_token_id") for each in told)))
