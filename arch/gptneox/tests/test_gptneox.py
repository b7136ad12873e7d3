"""Which wiring a configuration asks for, and what older words mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import ParallelNormsLayer
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gptneox.model import GPTNeoX, GPTNeoXConfig
from tramontane_arch_gptneox.plugin import TINY


@pytest.mark.parametrize("parallel", [True, False])
def test_halves_side_by_side_or_in_a_row(parallel: bool) -> None:
    config = read_config(GPTNeoXConfig, {**TINY, "use_parallel_residual": parallel})
    with torch.device("meta"):
        layer = GPTNeoX(config).model.layers[0]
    assert isinstance(layer, ParallelNormsLayer) == parallel


def test_older_words() -> None:
    config = read_config(GPTNeoXConfig, {**TINY, "rotary_pct": 0.5, "rotary_emb_base": 5000})
    assert (config.partial_rotary_factor, config.rope_theta) == (0.5, 5000.0)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "silu"},
        {"layer_norm_eps": 0.0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(GPTNeoXConfig, {**TINY, **change})
