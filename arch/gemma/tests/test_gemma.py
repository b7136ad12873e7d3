"""Which layers slide and by what they rotate, and what missing and empty caps mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gemma.gemma3 import Gemma3, Gemma3Config
from tramontane_arch_gemma.model import Gemma2Config, GemmaConfig
from tramontane_arch_gemma.plugin import TINY


def test_every_second_layer_slides_or_five_of_six() -> None:
    second = read_config(Gemma2Config, TINY)
    third = read_config(Gemma3Config, TINY)
    assert [second.window(index) is None for index in range(4)] == [False, True, False, True]
    assert [third.window(index) is None for index in range(7)] == [*[False] * 5, True, False]


def test_a_cap_that_is_null_is_none_and_one_that_is_missing_the_usual() -> None:
    assert read_config(Gemma2Config, TINY).attn_logit_softcapping == 50.0
    nulled = read_config(Gemma2Config, {**TINY, "attn_logit_softcapping": None})
    assert nulled.attn_logit_softcapping is None


def test_of_two_words_for_the_activation_one_is_looked_at() -> None:
    both = {**TINY, "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"}
    assert read_config(Gemma2Config, both).hidden_act == "gelu_pytorch_tanh"
    with pytest.raises(ConfigError, match="hidden_act='gelu'"):
        read_config(Gemma2Config, {**both, "hidden_activation": "gelu"})


@pytest.mark.parametrize(
    ("local", "theta"), [({"rope_type": "default", "rope_theta": 5e3}, 5e3), ({}, 1e4), (None, 1e4)]
)
def test_rotary_settings_of_each_kind_of_layer(local: Any, theta: float) -> None:
    full = {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5}
    both = {"full_attention": full, "sliding_attention": local}
    config = read_config(Gemma3Config, {**TINY, "rope_parameters": both})
    assert (config.rope_theta, config.rope_local_base_freq) == (5e5, theta)
    assert config.rope_scaling is not None


def test_scaled_rotations_in_a_window_are_refused_by_name() -> None:
    both = {"sliding_attention": {"rope_type": "linear", "factor": 8.0}}
    with pytest.raises(ConfigError, match="rope_parameters of sliding_attention"):
        read_config(Gemma3Config, {**TINY, "rope_parameters": both})


def test_layers_that_slide_rotate_by_their_own_base() -> None:
    config = read_config(
        Gemma3Config,
        {
            **TINY,
            "sliding_window_pattern": 2,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
    )
    with torch.device("meta"):
        model = Gemma3(config)
    ropes: list[Any] = [layer.self_attn.rope for layer in model.model.layers]
    assert [(rope.theta, rope.scaling is None) for rope in ropes] == [(1e4, True), (1e6, False)]


def test_the_first_checkpoints_named_another_activation() -> None:
    assert read_config(GemmaConfig, {**TINY, "hidden_act": "gelu"}).hidden_act == "gelu"


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "silu"},
        {"sliding_window": 0},
        {"attention_bias": True},
        {"use_bidirectional_attention": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Gemma2Config, {**TINY, **change})
