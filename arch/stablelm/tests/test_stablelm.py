"""How halves are wired, by both kinds of files, and norms of single heads as one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import ParallelLayer, PreNormLayer
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_stablelm.model import WEIGHTS, StableLm, StableLmConfig
from tramontane_arch_stablelm.plugin import TINY


@pytest.mark.parametrize(
    ("told", "wiring"),
    [
        ({}, PreNormLayer),
        ({"use_parallel_residual": True}, ParallelLayer),
        ({"use_parallel_residual": True, "feed_forward_norm": True}, PreNormLayer),
        ({"feed_forward_norm": False}, ParallelLayer),
    ],
)
def test_a_norm_that_is_there_decides_in_gguf_files(told: dict[str, Any], wiring: type) -> None:
    config = read_config(StableLmConfig, {**TINY, **told})
    with torch.device("meta"):
        assert type(StableLm(config).model.layers[0]) is wiring


def test_norms_of_single_heads_go_to_one() -> None:
    path = "model.layers.1.self_attn.k_layernorm.norms.3"
    ((found, last, _),) = follow(path, "weight", WEIGHTS["hf"])
    assert (found, last) == ("model.layers.1.self_attn.k_norm", "weight")


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"partial_rotary_factor": 2.0}])
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(StableLmConfig, {**TINY, **change})
