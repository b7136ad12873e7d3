"""A configuration as it is published."""

from __future__ import annotations

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_xverse.model import XverseConfig
from tramontane_arch_xverse.plugin import TINY

XVERSE_7B = {
    "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 10752,
    "max_position_embeddings": 8192, "max_tokenizer_truncation": 6144, "num_attention_heads": 32,
    "num_hidden_layers": 32, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    "vocab_size": 100534,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(XverseConfig, XVERSE_7B)
    assert (config.num_key_value_heads, config.head_dim, config.rope_theta) == (32, 128, 1e4)


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(XverseConfig, {**TINY, "hidden_act": "gelu"})
