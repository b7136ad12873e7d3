"""Which layers of Bamba are what, how much of a head rotates, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import Attention, Mamba2
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_bamba.model import Bamba, BambaConfig
from tramontane_arch_bamba.plugin import TINY


def layers(**change: Any) -> Any:
    with torch.device("meta"):
        return Bamba(read_config(BambaConfig, {**TINY, **change})).model.layers


def test_kinds_of_layers() -> None:
    assert [type(each.self_attn) for each in layers()] == [Mamba2, Attention, Mamba2]
    assert all(isinstance(each.self_attn, Mamba2) for each in layers(attn_layer_indices=None))


@pytest.mark.parametrize(
    ("told", "turned"),
    [
        ({}, 4),
        ({"attn_rotary_emb": 4}, 4),
        ({"partial_rotary_factor": 1.0}, 4),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}}, 2),
    ],
)
def test_half_of_a_head_rotates_unless_its_settings_say_so(
    told: dict[str, Any], turned: int
) -> None:
    assert layers(**told)[1].self_attn.rope.dim == turned


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"attn_layer_indices": [3]},
        {"attn_layer_indices": [-1]},
        {"attn_rotary_emb": 8},
        {"mamba_n_heads": 5},
        {"mamba_d_head": 8},
        {"mamba_n_groups": 3},
    ],
    ids=str,
)
def test_what_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(BambaConfig, {**TINY, **change})
