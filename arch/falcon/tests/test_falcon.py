"""Which wiring and how many keys each generation has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import ParallelLayer, ParallelNormsLayer, PreNormLayer
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_falcon.model import Falcon, FalconConfig, wiring

TINY = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
NEW = {"new_decoder_architecture": True, "num_kv_heads": 2}


@pytest.mark.parametrize(
    ("change", "layer", "keys"),
    [
        ({}, ParallelLayer, 1),
        ({"multi_query": False, "parallel_attn": False, "alibi": True}, PreNormLayer, 4),
        (NEW, ParallelNormsLayer, 2),
        ({**NEW, "num_ln_in_parallel_attn": 1}, ParallelLayer, 2),
    ],
)
def test_wiring_and_keys(change: dict[str, Any], layer: type, keys: int) -> None:
    config = read_config(FalconConfig, {**TINY, **change})
    assert wiring(config) is layer
    assert config.num_key_value_heads == keys
    with torch.device("meta"):
        attention: Any = Falcon(config).model.layers[0].self_attn
    assert (attention.rope is None) == (attention.alibi is not None) == config.alibi


def test_the_words_of_the_first_checkpoints() -> None:
    old = {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4, "n_head_kv": 2}
    config = read_config(FalconConfig, old)
    assert config.new_decoder_architecture
    assert (config.num_hidden_layers, config.num_key_value_heads) == (2, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"},
        {"num_ln_in_parallel_attn": 3},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(FalconConfig, {**TINY, **change})
