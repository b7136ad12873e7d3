"""Contexts in which sparse attention would leave something out are refused, with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import ConfigError
from tramontane.registry import Registry

from .parity import reference


@pytest.mark.parametrize("family", ["deepseek-v3.2", "glm-dsa"])
def test_contexts_end_where_the_indexer_begins(family: str, tmp_path: Path) -> None:
    reference.make(family, "groups", tmp_path)
    registry = Registry()
    header = open_checkpoint(tmp_path, registry)
    fits = load_model(header, registry, LoadOptions(device="reference"))
    assert fits.context_length == 96, "the model has more positions, and index_topk 96"
    words = "a context of 97 tokens is too long .* index_topk 96 .* give --num-ctx 96 or less"
    with pytest.raises(ConfigError, match=words):
        load_model(header, registry, LoadOptions(device="reference", num_ctx=97))
