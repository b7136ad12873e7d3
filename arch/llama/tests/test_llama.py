"""Which configurations the family takes, and what it does with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.model import Llama, LlamaConfig, Mistral, MistralConfig
from tramontane_arch_llama.plugin import TINY


def test_defaults_that_checkpoints_leave_out() -> None:
    old = {key: value for key, value in TINY.items() if key != "num_key_value_heads"}
    config = read_config(LlamaConfig, old)
    assert (config.num_key_value_heads, config.head_dim) == (4, 8)
    assert (config.rope_theta, config.hidden_act) == (10000.0, "silu")


def test_both_spellings_of_rope_settings() -> None:
    scaling = {"type": "linear", "factor": 2.0}
    before = read_config(LlamaConfig, {**TINY, "rope_theta": 5e5, "rope_scaling": scaling})
    together = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}
    assert read_config(LlamaConfig, {**TINY, "rope_parameters": together}) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"num_attention_heads": 5}, "hidden_size 32"),
        ({"num_key_value_heads": 3}, "num_key_value_heads 3"),
        ({"vocab_size": -1}, "vocab_size=-1"),
        ({"rope_scaling": {"rope_type": "spiral", "factor": 2.0}}, "spiral"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers='many'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(LlamaConfig, {**TINY, **change})


def test_biases_and_window_reach_the_layers() -> None:
    with torch.device("meta"):
        biased = Llama(read_config(LlamaConfig, {**TINY, "attention_bias": True, "mlp_bias": True}))
        windowed = Mistral(read_config(MistralConfig, {**TINY, "sliding_window": 8}))
    layer: Any = biased.model.layers[0]
    assert layer.self_attn.o_proj.bias is not None
    assert layer.mlp.down_proj.bias is not None
    other: Any = windowed.model.layers[1]
    assert other.self_attn.window == 8
    assert other.self_attn.q_proj.bias is None


@pytest.mark.parametrize(
    ("change", "biased"),
    [
        ({"attention_bias": True}, [True, True]),
        ({"attention_bias": True, "attention_out_bias": False}, [True, False]),
        ({"attention_out_bias": True}, [False, True]),
    ],
)
def test_the_output_may_have_a_bias_where_the_rest_has_none(
    change: dict[str, Any], biased: list[bool]
) -> None:
    with torch.device("meta"):
        model = Llama(read_config(LlamaConfig, {**TINY, **change}))
    attention: Any = model.model.layers[0].self_attn
    found = [part.bias is not None for part in (attention.q_proj, attention.o_proj)]
    assert found == biased
