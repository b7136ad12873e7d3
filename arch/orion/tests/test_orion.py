"""A configuration as it is published, whose name of the norms' eps is another norm's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import LayerNorm
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_orion.model import Orion, OrionConfig
from tramontane_arch_orion.plugin import TINY

ORION_14B = {
    "attention_bias": False, "hidden_act": "silu", "hidden_size": 5120, "intermediate_size": 15360,
    "max_position_embeddings": 4096, "max_sequence_length": 4096, "num_attention_heads": 40,
    "num_hidden_layers": 40, "num_key_value_heads": 40, "rms_norm_eps": 1e-5, "rope_scaling": None,
    "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": 84608,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(OrionConfig, ORION_14B | {"rms_norm_eps": 1e-4})
    assert (config.layer_norm_eps, config.rope_theta, config.head_dim) == (1e-4, 1e4, 128)


def test_norms_subtract_the_mean() -> None:
    with torch.device("meta"):
        model: Any = Orion(read_config(OrionConfig, TINY)).model
    assert isinstance(model.norm, LayerNorm)
    assert isinstance(model.layers[0].input_layernorm, LayerNorm)


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"attention_bias": True}])
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(OrionConfig, {**TINY, **change})
