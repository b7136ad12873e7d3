"""Sizes of each layer, and a configuration as it is published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_openelm.model import OpenElm, OpenElmConfig, divisible
from tramontane_arch_openelm.plugin import TINY

OPENELM_270M = {
    "activation_fn_name": "swish", "bos_token_id": 1, "eos_token_id": 2, "ffn_dim_divisor": 256,
    "ffn_multipliers": [0.5, 0.73, 0.97, 1.2, 1.43, 1.67, 1.9, 2.13, 2.37, 2.6, 2.83, 3.07, 3.3,
                        3.53, 3.77, 4.0],
    "ffn_with_glu": True, "head_dim": 64, "max_context_length": 2048, "model_dim": 1280,
    "normalization_layer_name": "rms_norm", "normalize_qk_projections": True, "num_gqa_groups": 4,
    "num_kv_heads": [3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5],
    "num_query_heads": [12, 12, 12, 12, 12, 16, 16, 16, 16, 16, 16, 16, 20, 20, 20, 20],
    "num_transformer_layers": 16, "qkv_multipliers": [0.5, 1.0], "rope_freq_constant": 10000,
    "rope_max_length": 4096, "share_input_output_layers": True, "vocab_size": 32000,
}  # fmt: skip


def test_a_published_configuration() -> None:
    config = read_config(OpenElmConfig, OPENELM_270M)
    assert config.intermediate_size == (
        768, 1024, 1280, 1536, 1792, 2048, 2560, 2816, 3072, 3328, 3584, 3840, 4352, 4608, 4864,
        5120,
    )  # fmt: skip
    assert (config.num_attention_heads, config.num_key_value_heads) == (
        tuple(OPENELM_270M["num_query_heads"]),  # type: ignore[arg-type]
        tuple(OPENELM_270M["num_kv_heads"]),  # type: ignore[arg-type]
    )
    assert (config.hidden_size, config.rms_norm_eps, config.rope_theta) == (1280, 1e-6, 1e4)
    assert (config.max_position_embeddings, config.tie_word_embeddings) == (2048, True)


def test_sizes_reach_their_layers() -> None:
    with torch.device("meta"):
        layers: Any = OpenElm(read_config(OpenElmConfig, TINY)).model.layers
    found = [(each.self_attn.heads, each.mlp.up_proj.weight.shape[0]) for each in layers]
    assert found == [(4, 32), (6, 64)]


@pytest.mark.parametrize(("size", "divisor", "found"), [(20, 16, 32), (23.9, 16, 32), (1, 16, 16)])
def test_a_size_is_not_a_tenth_too_small(size: float, divisor: int, found: int) -> None:
    assert divisible(size, divisor) == found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ffn_with_glu": False}, "ffn_with_glu"),
        ({"normalization_layer_name": "layer_norm"}, "normalization_layer_name"),
        ({"activation_fn_name": "gelu"}, "hidden_act"),
        ({"num_query_heads": [4]}, "num_attention_heads has 1 entries for 2 layers"),
        ({"ffn_multipliers": [1.0]}, "intermediate_size has 1 entries for 2 layers"),
        ({"ffn_multipliers": "wide"}, "intermediate_size is missing"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_config(OpenElmConfig, {**TINY, **change})
