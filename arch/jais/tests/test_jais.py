"""The scales of the first Jais, in both of its spellings, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_jais.model import Jais, JaisConfig, metadata
from tramontane_arch_jais.plugin import TINY, TINY_2
from tramontane_arch_jais.second import Jais2Config

JAIS_13B = {
    "activation_function": "swiglu", "embeddings_scale": 14.6, "layer_norm_epsilon": 1e-5,
    "n_embd": 5120, "n_head": 40, "n_inner": 13653, "n_layer": 40, "n_positions": 2048,
    "position_embedding_type": "alibi", "reorder_and_upcast_attn": False,
    "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True,
    "scale_qk_dot_by_d": True, "vocab_size": 84992, "width_scale": 0.11100000000000002,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(JaisConfig, JAIS_13B)
    assert (config.embeddings_scale, config.width_scale) == (14.6, 0.11100000000000002)
    assert (config.intermediate_size, config.head_dim, config.rotary) == (13653, 128, False)


@pytest.mark.parametrize(("divided", "scale"), [(True, 1 / 8), (False, 8**-0.5)])
def test_scales(divided: bool, scale: float) -> None:
    config = read_config(JaisConfig, TINY | {"scale_qk_dot_by_d": divided})
    assert (config.embeddings_scale, config.width_scale) == (9.0, 0.5)
    with torch.device("meta"):
        layer: Any = Jais(config).model.layers[0]
    assert (layer.self_attn.scale, layer.self_attn.alibi[0]) == (scale, 2**-2)


def test_scales_are_in_the_matrices_of_gguf_files() -> None:
    assert metadata({}, {}) == {"scale_qk_dot_by_d": True}


def test_what_the_second_leaves_out() -> None:
    config = read_config(Jais2Config, TINY_2)
    assert (config.attention_bias, config.mlp_bias, config.hidden_act) == (True, True, "relu2")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"position_embedding_type": "learned"},
        {"alibi_scaling": {"type": "linear", "factor": 2.0}},
        {"scale_attn_by_inverse_layer_idx": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(JaisConfig, {**TINY, **change})
