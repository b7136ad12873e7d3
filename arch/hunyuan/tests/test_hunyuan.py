"""What alpha does to the rotation, which spellings are read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_hunyuan.model import HunYuanConfig, HunYuanMoEConfig
from tramontane_arch_hunyuan.plugin import TINY

ALPHA = {"alpha": 1000.0, "beta_fast": 32, "factor": 1.0, "type": "dynamic"}
SPARSE = {**TINY, "num_experts": 4, "moe_topk": [2, 2]}


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_alpha_stretches_the_base_alone(key: str) -> None:
    cfg = read_config(HunYuanConfig, {**TINY, "head_dim": 128, "rope_theta": 1e4, key: ALPHA})
    assert cfg.rope_scaling is None
    assert cfg.rope_theta == pytest.approx(1e4 * 1000 ** (128 / 126))


def test_what_is_told_by_layer_is_read_where_all_are_alike() -> None:
    told = {**SPARSE, "moe_intermediate_size": [48, 48]}
    assert read_config(HunYuanMoEConfig, told).num_experts_per_tok == 2


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"mlp_bias": True},
        {"use_qk_norm": False},
        {"use_cla": True},
        {"rope_scaling": {**ALPHA, "type": "linear"}},
        {"rope_scaling": {**ALPHA, "alpha": "much"}},
        {"num_experts_per_tok": [2, 1]},
        {"moe_intermediate_size": [24, 24]},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(HunYuanMoEConfig, {**TINY, "num_experts": 4, **change})
