"""How much of a head rotates, and what the head's bias and the router's weights are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_phi.experts import PhiMoE, PhiMoEConfig, SparseMixer
from tramontane_arch_phi.model import Phi2, Phi2Config
from tramontane_arch_phi.plugin import TINY


def test_half_of_a_head_rotates_unless_it_is_said() -> None:
    with torch.device("meta"):
        layer: Any = Phi2(read_config(Phi2Config, TINY)).model.layers[0]
    assert layer.self_attn.rope.dim == 4
    told = {**TINY, "partial_rotary_factor": 0.25}
    assert read_config(Phi2Config, told).partial_rotary_factor == 0.25


def test_the_head_has_a_bias_when_the_configuration_says_so() -> None:
    sparse = {**TINY, "num_local_experts": 4}
    with torch.device("meta"):
        without = PhiMoE(read_config(PhiMoEConfig, sparse))
        biased = PhiMoE(read_config(PhiMoEConfig, {**sparse, "lm_head_bias": True}))
    assert without.lm_head.bias is None
    assert biased.lm_head.bias is not None


def test_experts_much_worse_than_the_best_do_not_share_its_softmax() -> None:
    config = read_config(PhiMoEConfig, {**TINY, "num_local_experts": 4})
    scores = torch.tensor([[1.0, 0.99, -3.0, 0.5]])
    weights, chosen = SparseMixer(config).choose(scores)
    assert chosen.tolist() == [[0, 1]]
    # the best shares with the second, which is within 2%; the second with nobody
    expected = [[torch.sigmoid(torch.tensor(0.01)).item(), 1.0]]
    torch.testing.assert_close(weights, torch.tensor(expected))


@pytest.mark.parametrize(
    "change",
    [
        {"num_experts_per_tok": 3},
        {"hidden_act": "gelu"},
        {"num_local_experts": 1},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(PhiMoEConfig, {**TINY, **change})
