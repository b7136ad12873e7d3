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
    assert nulled.attn_logit_softcapping == 0.0


def test_scores_are_scaled_by_the_head_but_in_the_largest_models() -> None:
    assert read_config(Gemma2Config, TINY).query_pre_attn_scalar == 16
    large = read_config(Gemma2Config, {**TINY, "num_hidden_layers": 46})
    assert large.query_pre_attn_scalar == 32 / 4


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
