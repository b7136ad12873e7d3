"""The first Qwen's words."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_qwen.first import QwenConfig

QWEN_7B = {
    "hidden_size": 4096, "intermediate_size": 22016, "kv_channels": 128,
    "layer_norm_epsilon": 1e-6, "max_position_embeddings": 32768, "no_bias": True,
    "num_attention_heads": 32, "num_hidden_layers": 32, "rotary_emb_base": 10000, "rotary_pct": 1.0,
    "scale_attn_weights": True, "seq_length": 8192, "tie_word_embeddings": False,
    "use_dynamic_ntk": True, "use_logn_attn": True, "vocab_size": 151936,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(QwenConfig, QWEN_7B)
    assert (config.intermediate_size, config.max_position_embeddings) == (11008, 8192)
    assert (config.rms_norm_eps, config.num_key_value_heads, config.head_dim) == (1e-6, 32, 128)


@pytest.mark.parametrize(
    "change", [{"no_bias": False}, {"rotary_pct": 0.5}, {"hidden_act": "relu"}]
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(QwenConfig, QWEN_7B | change)
