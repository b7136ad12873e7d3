"""What the family's words mean, and what names its first checkpoints have."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.blocks import alibi_slopes
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_bloom.model import WEIGHTS, BloomConfig
from tramontane_arch_bloom.plugin import TINY


def test_sizes_follow_from_two_numbers() -> None:
    config = read_config(BloomConfig, TINY)
    assert (config.intermediate_size, config.num_key_value_heads) == (128, 4)


def test_slopes_of_a_count_that_is_no_power_of_two() -> None:
    # 112 heads, as BLOOM-176B has: those of 64, then every second of 128
    slopes = alibi_slopes(112)
    assert slopes[0] == 2 ** (-8 / 64)
    assert slopes[63] == 2**-8
    assert slopes[64] == 2 ** (-8 / 128)
    assert slopes[65] == 2 ** (-8 * 3 / 128)


@pytest.mark.parametrize("front", ["", "transformer."])
def test_names_with_and_without_what_is_before_them(front: str) -> None:
    ends = follow(f"{front}word_embeddings_layernorm", "weight", WEIGHTS["hf"])
    assert [path for path, _, _ in ends] == ["embed_norm"]
    ends = follow(f"{front}h.0.mlp.dense_h_to_4h", "bias", WEIGHTS["hf"])
    assert [path for path, _, _ in ends] == ["model.layers.0.mlp.up_proj"]


@pytest.mark.parametrize("change", [{"hidden_act": "silu"}])
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(BloomConfig, {**TINY, **change})
