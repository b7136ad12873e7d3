"""Where the four multipliers go, and what GGUF files call one of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_granite.granite4 import Granite4Config
from tramontane_arch_granite.model import Granite, GraniteConfig, GraniteMoe, GraniteMoeConfig
from tramontane_arch_granite.plugin import TINY


def test_multipliers_reach_the_layers() -> None:
    told = {**TINY, "residual_multiplier": 0.25, "attention_multiplier": 0.5}
    with torch.device("meta"):
        dense: Any = Granite(read_config(GraniteConfig, told)).model.layers[1]
        sparse: Any = GraniteMoe(read_config(GraniteMoeConfig, told)).model.layers[1]
    for layer in (dense, sparse):
        assert (layer.gain, layer.self_attn.scale) == (0.25, 0.5)
    assert sparse.mlp.experts.gate_proj.weight.shape == (8 * 48, 32)


def test_another_word_for_the_scale_of_logits() -> None:
    assert read_config(GraniteConfig, {**TINY, "logit_scale": 8.0}).logits_scaling == 8.0


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"logits_scaling": 0.0},
        {"num_local_experts": 0},
        {"num_experts_per_tok": 0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(GraniteMoeConfig, {**TINY, **change})


ATTENTION = {**TINY, "layer_types": ["attention", "attention"]}


@pytest.mark.parametrize(("kind", "rotary"), [("rope", True), ("nope", False), (None, False)])
def test_granite_4_without_experts(kind: str | None, rotary: bool) -> None:
    none = {"num_local_experts": 0, "num_experts_per_tok": 0}
    config = read_config(Granite4Config, {**ATTENTION, **none, "position_embedding_type": kind})
    assert (config.rotary, config.num_local_experts) == (rotary, 0)


def test_experts_of_which_a_token_gets_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_experts_per_tok 0 leaves a token without"):
        read_config(Granite4Config, {**ATTENTION, "num_experts_per_tok": 0})


@pytest.mark.parametrize("layers", [["attention"], ["mamba", "convolution"], None])
def test_kinds_of_layers_that_do_not_fit_are_refused(layers: list[str] | None) -> None:
    told = TINY if layers is None else {**TINY, "layer_types": layers}
    with pytest.raises(ConfigError, match="layer_types"):
        read_config(Granite4Config, told)


def test_heads_that_do_not_fit_a_layer_of_mamba_are_refused() -> None:
    with pytest.raises(ConfigError, match="mamba_n_heads 128 times mamba_d_head auto is not"):
        read_config(Granite4Config, {**TINY, "layer_types": ["mamba", "attention"]})
