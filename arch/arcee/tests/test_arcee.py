"""A feed-forward half without a gate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_arcee.model import Arcee, ArceeConfig
from tramontane_arch_arcee.plugin import TINY


def test_the_square_of_what_relu_leaves() -> None:
    config = read_config(ArceeConfig, TINY)
    with torch.device("meta"):
        layer: Any = Arcee(config).model.layers[0]
    assert not hasattr(layer.mlp, "gate_proj")
    assert layer.mlp.act(torch.tensor([-2.0, 3.0])).tolist() == [0.0, 9.0]


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(ArceeConfig, {**TINY, "hidden_act": "silu"})
