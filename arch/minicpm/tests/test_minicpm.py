"""Where the three scales go, what GGUF files call them, and a published configuration."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_minicpm.latent import MiniCpm3, MiniCpm3Config
from tramontane_arch_minicpm.model import MiniCpm, MiniCpmConfig, metadata
from tramontane_arch_minicpm.plugin import LATENT, TINY

MINICPM_2B = {
    "hidden_act": "silu", "hidden_size": 2304, "intermediate_size": 5760,
    "max_position_embeddings": 4096, "model_type": "minicpm", "num_attention_heads": 36,
    "num_hidden_layers": 40, "num_key_value_heads": 36, "rms_norm_eps": 1e-5, "rope_scaling": None,
    "vocab_size": 122753, "scale_emb": 12, "dim_model_base": 256, "scale_depth": 1.4,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(MiniCpmConfig, MINICPM_2B)
    assert (config.scale_emb, config.narrowing, config.gain) == (12, 9, 1.4 / math.sqrt(40))
    assert (config.tie_word_embeddings, config.rope_theta, config.num_experts) == (True, 1e4, 0)


def test_scales_reach_the_layers() -> None:
    with torch.device("meta"):
        dense: Any = MiniCpm(read_config(MiniCpmConfig, TINY)).model.layers[1]
        latent: Any = MiniCpm3(read_config(MiniCpm3Config, TINY | LATENT)).model.layers[1]
    assert dense.gain == latent.gain == 1.4 / math.sqrt(2)


def test_no_scales() -> None:
    config = read_config(
        MiniCpm3Config, TINY | LATENT | {"scale_depth": None, "dim_model_base": None}
    )
    assert (config.gain, config.narrowing, config.v_head_dim) == (1, 1, 8)


def test_what_gguf_files_call_the_scales() -> None:
    sizes = {"num_hidden_layers": 4, "hidden_size": 512, "embedding_multiplier": 3.0}
    told = {"minicpm.residual_scale": 0.5, "minicpm.logit_scale": 4.0}
    found = {"scale_emb": 3.0, "scale_depth": 1.0, "dim_model_base": 128.0, "num_experts": 0}
    assert metadata(told, sizes) == found


def test_files_from_before_they_had_scales_are_of_the_first_models() -> None:
    found = metadata({}, {"num_hidden_layers": 40, "hidden_size": 2304})
    assert (found["scale_emb"], found["scale_depth"], found["dim_model_base"]) == (12, 1.4, 256)


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "gelu"}, {"dim_model_base": 0}, {"sparse_config": {"dense_len": 8192}}],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(MiniCpmConfig, {**TINY, **change})
