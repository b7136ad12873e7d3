"""Which layers slide, what a missing scaling means, and what GGUF files leave out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import ClampedSwiGLU
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gpt_oss.config import GptOssConfig, fields
from tramontane_arch_gpt_oss.model import GptOss
from tramontane_arch_gpt_oss.plugin import architectures

(OFFER,) = architectures()
TINY = OFFER.example


def test_every_second_layer_sees_everything() -> None:
    config = read_config(GptOssConfig, {**TINY, "num_hidden_layers": 5})
    assert [config.window(index) for index in range(5)] == [8, None, 8, None, 8]


def test_layers_are_made_of_what_the_configuration_says() -> None:
    told = {**TINY, "swiglu_limit": 3.0, "attention_bias": False}
    config = read_config(GptOssConfig, told)
    with torch.device("meta"):
        layer: Any = GptOss(config).model.layers[0]
    assert layer.mlp.experts.glu == ClampedSwiGLU(3.0, 1.702, 1.0)
    assert layer.mlp.experts.down_proj.bias.shape == (4 * 32,)
    assert layer.mlp.gate.bias.shape == (4,)
    assert layer.self_attn.sinks.shape == (4,)
    assert layer.self_attn.q_proj.bias is layer.self_attn.o_proj.bias is None


def test_a_missing_scaling_is_yarn_with_a_ramp_that_is_not_rounded() -> None:
    scaling: Any = read_config(GptOssConfig, TINY).rope_scaling
    assert (scaling.rope_type, scaling.factor, scaling.truncate) == ("yarn", 32.0, False)
    plain = {"rope_type": "default", "rope_theta": 1e4}
    config = read_config(GptOssConfig, {**TINY, "rope_parameters": plain})
    assert (config.rope_scaling, config.rope_theta) == (None, 1e4)


def test_what_files_of_gguf_leave_out() -> None:
    wide = {"gpt-oss.expert_feed_forward_length": 24}
    said = {**TINY, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    config = read_config(GptOssConfig, said | fields(wide, said))
    assert config.intermediate_size == 24
    assert config.rope_scaling is not None
    assert dict(config.rope_scaling)["truncate"] is False
    without = read_config(GptOssConfig, TINY | fields({}, TINY))
    assert (without.rope_scaling, without.intermediate_size) == (None, 48)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"layer_types": ["full_attention", "linear_attention"]},
        {"layer_types": ["full_attention"]},
        {"sliding_window": 0},
        {"num_local_experts": 0},
        {"num_experts_per_tok": 0},
        {"swiglu_limit": 0.0},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(GptOssConfig, {**TINY, **change})


def test_more_experts_for_a_token_than_there_are() -> None:
    config = read_config(GptOssConfig, {**TINY, "num_experts_per_tok": 5})
    with torch.device("meta"), pytest.raises(ConfigError, match="num_experts_per_tok 5 of 4"):
        GptOss(config)
