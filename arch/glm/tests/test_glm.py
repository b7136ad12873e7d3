"""How much of a head rotates, which layers have experts, and which tensors are left out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_glm.experts import Glm4Moe, Glm4MoeConfig, weights
from tramontane_arch_glm.lite import Glm4MoeLite, Glm4MoeLiteConfig
from tramontane_arch_glm.model import Glm4, Glm4Config
from tramontane_arch_glm.plugin import TINY

SPARSE = {**TINY, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}


def test_half_of_a_head_rotates() -> None:
    with torch.device("meta"):
        layer: Any = Glm4(read_config(Glm4Config, TINY)).model.layers[0]
    assert layer.self_attn.rope.dim == 4


def test_the_first_layers_are_dense() -> None:
    with torch.device("meta"):
        model = Glm4Moe(read_config(Glm4MoeConfig, SPARSE))
    layers: list[Any] = list(model.model.layers)
    assert [hasattr(layer.mlp, "experts") for layer in layers] == [False, True]


def test_layers_that_guess_further_tokens_are_left_out() -> None:
    config = read_config(Glm4MoeConfig, SPARSE)
    rules = weights(config)["hf"]
    assert follow("model.layers.2.eh_proj", "weight", rules) == []
    assert follow("model.layers.1.input_layernorm", "weight", rules) != []


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"n_routed_experts": 0},
        {"n_group": 0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Glm4MoeConfig, {**SPARSE, **change})


LATENT = {**SPARSE, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
          "qk_rope_head_dim": 4, "v_head_dim": 8}  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "dense"),
    [(None, [True, False]), (["sparse", "dense"], [False, True])],
)
def test_which_layers_of_flash_are_dense(kinds: list[str] | None, dense: list[bool]) -> None:
    told = LATENT if kinds is None else {**LATENT, "mlp_layer_types": kinds}
    with torch.device("meta"):
        model = Glm4MoeLite(read_config(Glm4MoeLiteConfig, told))
    layers: list[Any] = list(model.model.layers)
    assert [not hasattr(layer.mlp, "experts") for layer in layers] == dense


@pytest.mark.parametrize(
    "change",
    [{"mlp_layer_types": ["dense"]}, {"mlp_layer_types": ["dense", "thick"]},
     {"topk_method": "greedy"}, {"hidden_act": "gelu"}, {"kv_lora_rank": 0}],
    ids=str,
)  # fmt: skip
def test_what_flash_does_not_support_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Glm4MoeLiteConfig, {**LATENT, **change})
