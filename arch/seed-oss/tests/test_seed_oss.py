"""Which matrices have biases, and what a missing size of heads means."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_seed_oss.model import Seed, SeedConfig
from tramontane_arch_seed_oss.plugin import TINY


@pytest.mark.parametrize("told", [{}, {"attention_bias": False, "attention_out_bias": True}])
def test_biases(told: dict[str, Any]) -> None:
    config = read_config(SeedConfig, {**TINY, **told})
    with torch.device("meta"):
        layer: Any = Seed(config).model.layers[0]
    found = [layer.self_attn.q_proj.bias is not None, layer.self_attn.o_proj.bias is not None]
    assert found == ([False, True] if told else [True, False])
    assert config.head_dim == 128


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(SeedConfig, {**TINY, "hidden_act": "gelu"})
