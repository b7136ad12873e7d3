"""Which layers see a window, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_modernbert.model import ModernBertConfig, ModernBertLayer
from tramontane_arch_modernbert.plugin import TINY


def test_every_third_layer_sees_all() -> None:
    config = read_config(
        ModernBertConfig,
        {**TINY, "num_hidden_layers": 7, "global_attn_every_n_layers": 3, "local_attention": 8},
    )
    layers = [ModernBertLayer(config, index) for index in range(7)]
    assert [each.attend.side for each in layers] == [None, 4, 4, None, 4, 4, None]
    bases = [each.rope.theta for each in layers if each.rope is not None]
    assert bases == [160_000.0, 10_000.0, 10_000.0] * 2 + [160_000.0]
    assert [each.attn_norm is None for each in layers] == [True, *[False] * 6]


@pytest.mark.parametrize(
    "change",
    [
        {"attention_bias": True},
        {"norm_bias": True},
        {"classifier_pooling": "max"},
        {"layer_types": ["chunked_attention"]},
        {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(ModernBertConfig, {**TINY, **change})
