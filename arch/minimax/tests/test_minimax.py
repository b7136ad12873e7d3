"""How much of a head rotates, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_minimax.model import MiniMaxM2, MiniMaxM2Config
from tramontane_arch_minimax.plugin import TINY
from tramontane_arch_minimax.text01 import MiniMax, MiniMaxConfig


@pytest.mark.parametrize(("told", "turned"), [({}, 6), ({"rotary_dim": None}, 12)])
def test_a_part_of_a_head_rotates(told: dict[str, Any], turned: int) -> None:
    with torch.device("meta"):
        layer: Any = MiniMaxM2(read_config(MiniMaxM2Config, {**TINY, **told})).model.layers[0]
    assert layer.self_attn.rope.dim == turned


def test_norms_are_over_all_heads() -> None:
    with torch.device("meta"):
        layer: Any = MiniMaxM2(read_config(MiniMaxM2Config, TINY)).model.layers[0]
    assert layer.self_attn.q_norm_wide.weight.shape == (48,)
    assert layer.self_attn.k_norm_wide.weight.shape == (24,)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"scoring_func": "softmax"},
        {"scoring_func": "sigmoid", "expert_gating_func": 1},
        {"use_qk_norm": False},
        {"qk_norm_type": "per_head"},
        {"use_routing_bias": False},
        {"shared_intermediate_size": 16},
        {"attn_type_list": [1, 0]},
        {"rotary_dim": 24},
        {"rotary_dim": "six"},
        {"num_local_experts": 0},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(MiniMaxM2Config, {**TINY, **change})


OLDER = {key: value for key, value in TINY.items() if key != "rotary_dim"}


def test_layers_with_a_state_in_either_words() -> None:
    alternating = read_config(MiniMaxConfig, OLDER)
    assert alternating.layer_types == ("full_attention", "linear_attention")
    told = read_config(MiniMaxConfig, {**OLDER, "attn_type_list": [0, 1]})
    assert told.layer_types == ("linear_attention", "full_attention")
    assert read_config(MiniMaxConfig, {**OLDER, "layernorm_mlp_alpha": 2.5}).mlp_alpha_factor == 2.5


def test_heads_decay_at_their_own_pace_and_later_layers_slower() -> None:
    states = {**OLDER, "layer_types": ["linear_attention"] * 2}
    with torch.device("meta"):
        first, last = (
            each.self_attn for each in MiniMax(read_config(MiniMaxConfig, states)).model.layers
        )
    assert first.decays == sorted(first.decays)
    assert all(a < b for a, b in zip(first.decays, last.decays, strict=True))
    assert first.decays[0] == pytest.approx(0.7788, abs=1e-4)  # exp(-1/4), of four heads


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"postnorm": False},
        {"shared_intermediate_size": 16},
        {"attn_type_list": [1, 2]},
        {"attn_type_list": 1},
        {"layer_types": ["full_attention"]},
        {"rotary_dim": 24},
    ],
    ids=str,
)
def test_what_is_refused_of_those_with_a_state(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(MiniMaxConfig, {**OLDER, **change})
