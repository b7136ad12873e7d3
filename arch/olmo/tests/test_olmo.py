"""Which layers see a window, by what they rotate, and what is clipped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_olmo.experts import OlmoeConfig
from tramontane_arch_olmo.model import Olmo, OlmoConfig, PlainNorm
from tramontane_arch_olmo.olmo2 import Olmo2, Olmo3Config
from tramontane_arch_olmo.plugin import TINY

FOUR = {**TINY, "num_hidden_layers": 4}
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32}


def attention(settings: dict[str, Any]) -> list[Any]:
    config = read_config(Olmo3Config, settings)
    with torch.device("meta"):
        model = Olmo2(config)
    layers: list[Any] = list(model.model.layers)
    return [layer.self_attn for layer in layers]


def test_every_fourth_layer_sees_everything() -> None:
    assert [each.window for each in attention(FOUR)] == [4096, 4096, 4096, None]
    no_window = {**FOUR, "sliding_window": None}
    assert [each.window for each in attention(no_window)] == [None] * 4


def test_only_layers_that_see_everything_are_stretched() -> None:
    told = {**FOUR, "rope_theta": 9000.0, "rope_scaling": YARN}
    ropes = [each.rope for each in attention(told)]
    assert [rope.scaling is None for rope in ropes] == [True, True, True, False]
    assert {rope.theta for rope in ropes} == {9000.0}


def test_settings_of_each_kind_of_layer() -> None:
    both = {
        "full_attention": {**YARN, "rope_theta": 8000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 700.0},
    }
    ropes = [each.rope for each in attention({**FOUR, "rope_parameters": both})]
    assert [rope.theta for rope in ropes] == [700.0, 700.0, 700.0, 8000.0]


def test_a_norm_without_weights() -> None:
    norm = PlainNorm(read_config(OlmoConfig, TINY))
    assert not list(norm.parameters())
    out = norm(torch.tensor([[1.0, 3.0]]))
    torch.testing.assert_close(out, torch.tensor([[-1.0, 1.0]]))


def test_clipping() -> None:
    config = read_config(OlmoConfig, {**TINY, "clip_qkv": 0.5})
    with torch.device("meta"):
        model = Olmo(config)
    layer: Any = model.model.layers[0]
    assert layer.self_attn.clip == 0.5


SLIDING = {"full_attention": YARN, "sliding_attention": YARN}


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (OlmoConfig, {"clip_qkv": 0.0}),
        (OlmoConfig, {"hidden_act": "gelu"}),
        (Olmo3Config, {"layer_types": ["sliding_attention"]}),
        (Olmo3Config, {"sliding_window": 0}),
        (Olmo3Config, {"rope_parameters": SLIDING}),
        (OlmoeConfig, {"num_experts": 0}),
    ],
)
def test_what_is_not_supported_is_refused_by_name(config: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(config, {**FOUR, **change})
