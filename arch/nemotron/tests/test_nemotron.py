"""Norms' weights have one added as they are read, their biases not; half of a head rotates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_nemotron.model import WEIGHTS, Nemotron, NemotronConfig
from tramontane_arch_nemotron.plugin import TINY


@pytest.mark.parametrize("path", ["model.norm", "model.layers.1.post_attention_layernorm"])
def test_one_is_added_to_weights_alone(path: str) -> None:
    for last, steps in (("weight", 1), ("bias", 0)):
        ((_, _, found),) = follow(path, last, WEIGHTS["hf"])
        assert len(found) == steps


def test_half_of_a_head_rotates() -> None:
    config = read_config(NemotronConfig, {**TINY, "norm_eps": 1e-3})
    with torch.device("meta"):
        layer: Any = Nemotron(config).model.layers[0]
    assert (layer.self_attn.rope.dim, layer.input_layernorm.eps) == (4, 1e-3)


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"partial_rotary_factor": 0.0}])
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(NemotronConfig, {**TINY, **change})
