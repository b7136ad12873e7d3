"""Kimi Linear's settings, and what is refused."""

from __future__ import annotations

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_kimi_linear.config import KimiLinearConfig
from tramontane_arch_kimi_linear.plugin import TINY

LAYERS = TINY["linear_attn_config"]


def test_layers_are_numbered_from_one() -> None:
    cfg = read_config(KimiLinearConfig, TINY)
    assert cfg.layer_types == ("linear_attention", "full_attention")
    assert cfg.mlp_layer_types == ("dense", "sparse")
    assert (cfg.linear_head_dim, cfg.linear_num_heads, cfg.head_dim) == (8, 4, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"full_attn_layers": [2, 3]}, "full_attn_layers has 3, which is no layer of 2"),
        ({"full_attn_layers": [0, 2]}, "full_attn_layers has 0, which is no layer of 2"),
        ({"kda_layers": [1, 2]}, "kda_layers has 2, which is no layer of 2, or one that was named"),
        ({"kda_layers": []}, "does not say what layer 1 is"),
        ({"kda_layers": 1}, "kda_layers=1 should be a list"),
        ({"short_conv_kernel_size": 1}, "linear_conv_kernel_dim=1"),
    ],
)
def test_layers_that_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(KimiLinearConfig, {**TINY, "linear_attn_config": {**LAYERS, **change}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"linear_attn_config": 3}, "linear_attn_config=3 should be an object"),
        ({"mla_use_nope": False}, "mla_use_nope=False"),
        ({"moe_router_activation_func": "softmax"}, "moe_router_activation_func='softmax'"),
        ({"first_k_dense_replace": -1}, "first_k_dense_replace -1"),
        ({"mlp_layer_types": ["dense"]}, "mlp_layer_types has 1 entries for 2 layers"),
    ],
)
def test_what_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(KimiLinearConfig, {**TINY, **change})
