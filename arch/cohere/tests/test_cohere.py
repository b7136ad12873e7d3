"""Which layers see a window and rotate, and which heads are normed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_cohere.model import Cohere, Cohere2, Cohere2Config, CohereConfig
from tramontane_arch_cohere.plugin import TINY

FOUR = {**TINY, "num_hidden_layers": 4, "sliding_window": 8}


def attention(settings: dict[str, Any]) -> list[Any]:
    config = read_config(Cohere2Config, settings)
    with torch.device("meta"):
        layers: list[Any] = list(Cohere2(config).model.layers)
    return [layer.self_attn for layer in layers]


def test_layers_with_a_window_rotate() -> None:
    found = [(each.window, each.rope is not None) for each in attention(FOUR)]
    assert found == [(8, True)] * 3 + [(None, False)]


def test_without_a_window_nothing_rotates() -> None:
    """As transformers has it."""
    assert {each.rope for each in attention({**FOUR, "sliding_window": None})} == {None}


@pytest.mark.parametrize("normed", [True, False])
def test_each_head_has_a_norm_of_its_own(normed: bool) -> None:
    config = read_config(CohereConfig, {**TINY, "use_qk_norm": normed})
    with torch.device("meta"):
        layer: Any = Cohere(config).model.layers[0]
    shapes = {name: tuple(p.shape) for name, p in layer.self_attn.named_parameters()}
    found = (shapes.get("q_norm.weight"), shapes.get("k_norm.weight"))
    assert found == (((4, 8), (2, 8)) if normed else (None, None))
    assert layer.input_layernorm.bias is None


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "gelu"}, {"sliding_window": 0}, {"layer_types": ["full_attention"]}],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Cohere2Config, {**FOUR, **change})
