"""Which layers of Jamba are what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import Attention, GatedMLP, Mamba, SparseMoE
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_jamba.model import Jamba, JambaConfig, metadata, regular
from tramontane_arch_jamba.plugin import TINY


def test_kinds_of_layers() -> None:
    with torch.device("meta"):
        layers: Any = Jamba(read_config(JambaConfig, TINY)).model.layers
    assert [type(each.self_attn) for each in layers] == [Mamba, Attention, Mamba]
    assert [type(each.mlp) for each in layers] == [GatedMLP, SparseMoE, GatedMLP]


def test_one_expert_is_none() -> None:
    cfg = read_config(JambaConfig, {**TINY, "num_experts": 1})
    assert not any(cfg.mixes(index) for index in range(3))


@pytest.mark.parametrize(
    ("chosen", "period", "offset"),
    [("0100010001", 4, 1), ("000", 4, 3), ("010", 3, 1), ("1111", 1, 0)],
)
def test_periods_of_files(chosen: str, period: int, offset: int) -> None:
    found = regular("attn", [each == "1" for each in chosen])
    assert found == {"attn_layer_period": period, "attn_layer_offset": offset}


def test_a_file_without_a_period_is_refused() -> None:
    values: dict[str, Any] = {"jamba.ssm.inner_size": 64}
    config = {"num_hidden_layers": 4, "num_key_value_heads": (2, 2, 0, 2), "hidden_size": 32}
    with pytest.raises(ValueError, match=r"layers \[0, 1, 3\] \(attn\)"):
        metadata(values, config)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"attn_layer_offset": 3},
        {"expert_layer_offset": 2},
        {"mamba_d_conv": 1},
    ],
)
def test_what_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(JambaConfig, {**TINY, **change})
