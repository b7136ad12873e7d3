"""Which of the models a configuration is of."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_baichuan.model import BaichuanConfig, metadata
from tramontane_arch_baichuan.plugin import TINY

FIRST_7B = {
    "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
    "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "vocab_size": 64000,
}  # fmt: skip
FIRST_13B = {
    "hidden_act": "silu", "hidden_size": 5120, "intermediate_size": 13696,
    "model_max_length": 4096, "num_attention_heads": 40, "num_hidden_layers": 40,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "vocab_size": 64000,
}  # fmt: skip
SECOND = {"vocab_size": 125696, "z_loss_weight": 0}


@pytest.mark.parametrize(
    ("told", "linear_biases", "unit_head"),
    [
        (FIRST_7B, False, False),
        (FIRST_13B, True, False),
        (FIRST_7B | SECOND | {"model_max_length": 4096}, False, True),
        (FIRST_13B | SECOND, True, True),
    ],
)
def test_published_configurations(
    told: dict[str, Any], linear_biases: bool, unit_head: bool
) -> None:
    config = read_config(BaichuanConfig, told)
    assert (config.linear_biases, config.rotary) == (linear_biases, not linear_biases)
    assert (config.unit_head, config.max_position_embeddings) == (unit_head, 4096)


@pytest.mark.parametrize(("layers", "linear_biases"), [(32, False), (40, True)])
def test_gguf_files_tell_by_their_layers(layers: int, linear_biases: bool) -> None:
    assert metadata({}, {"num_hidden_layers": layers}) == {"linear_biases": linear_biases}


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(BaichuanConfig, {**TINY, "hidden_act": "gelu"})
