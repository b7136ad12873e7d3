"""LFM2's settings as its makers wrote them, and what is refused."""

from __future__ import annotations

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_lfm.model import LfmConfig, LfmMoeConfig
from tramontane_arch_lfm.plugin import TINY

PUBLISHED = {
    "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "block_ff_dim": 12288, "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True, "conv_L_cache": 3,
    "full_attn_idxs": [2, 5, 8, 10, 12, 14], "norm_eps": 1e-05, "rope_theta": 1000000.0,
    "tie_embedding": True,
}  # fmt: skip


def test_words_of_the_first_release() -> None:
    cfg = read_config(LfmConfig, PUBLISHED)
    assert cfg.wide == 8192
    assert cfg.tie_word_embeddings
    assert [i for i, kind in enumerate(cfg.layer_types) if kind != "conv"] == [2, 5, 8, 10, 12, 14]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_expert_bias": False}, "use_expert_bias=False"),
        ({"conv_L_cache": 1}, "conv_L_cache=1"),
        ({"layer_types": ["conv", "mamba"]}, "layer_types.1='mamba'"),
    ],
)
def test_what_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(LfmMoeConfig, {**TINY, **change})
