"""What the words of the first configurations mean, and which tensors are no weights."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gpt2.model import WEIGHTS, GPT2Config
from tramontane_arch_gpt2.plugin import TINY


def test_the_words_of_the_first_configurations() -> None:
    config = read_config(GPT2Config, {**TINY, "activation_function": "gelu"})
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 2, 4)
    assert (config.intermediate_size, config.max_position_embeddings) == (128, 64)
    assert config.hidden_act == "gelu"


@pytest.mark.parametrize(
    ("change", "scales"),
    [
        ({}, [8**-0.5, 8**-0.5]),
        ({"scale_attn_weights": False}, [1.0, 1.0]),
        ({"scale_attn_by_inverse_layer_idx": True}, [8**-0.5, 8**-0.5 / 2]),
    ],
)
def test_scales_of_scores(change: dict[str, Any], scales: list[float]) -> None:
    config = read_config(GPT2Config, {**TINY, **change})
    assert [config.score_scale(index) for index in range(2)] == scales


def test_heads_may_have_any_size() -> None:
    assert read_config(GPT2Config, {**TINY, "n_embd": 28}).head_dim == 7


@pytest.mark.parametrize("front", ["", "transformer."])
def test_names_with_and_without_what_is_before_them(front: str) -> None:
    ends = follow(f"{front}h.1.attn.c_attn", "weight", WEIGHTS["hf"])
    assert [path for path, _, _ in ends] == [
        f"model.layers.1.self_attn.{part}_proj" for part in "qkv"
    ]
    assert follow(f"{front}h.1.attn", "bias", WEIGHTS["hf"]) == []  # a mask
    assert len(follow(f"{front}h.1.attn.c_proj", "bias", WEIGHTS["hf"])) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "tanh"},
        {"add_cross_attention": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(GPT2Config, {**TINY, **change})
