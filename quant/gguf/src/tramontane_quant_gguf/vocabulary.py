"""The tokenizer that a GGUF file's metadata describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.errors import CheckpointError
from tramontane.tokenizer.tokenizer import Tokenizer


def read_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """Raises CheckpointError."""
    raise CheckpointError("not read yet")
