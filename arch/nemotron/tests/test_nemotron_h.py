"""Patterns of layers, experts without a gate, and limits of time steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import MLP, Attention, Mamba2
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_nemotron.hybrid import LatentExperts, NemotronH
from tramontane_arch_nemotron.hybrid_config import NemotronHConfig
from tramontane_arch_nemotron.hybrid_files import metadata
from tramontane_arch_nemotron.plugin import architectures

TINY: dict[str, Any] = next(
    {**offer.example} for offer in architectures() if offer.name == "NemotronHForCausalLM"
)
UNSAID = {key: value for key, value in TINY.items() if key != "layers_block_type"}


@pytest.mark.parametrize(
    "said",
    [
        {"hybrid_override_pattern": "M*-E"},
        {"layers_block_type": ["mamba", "attention", "mlp", "moe"]},
        {"layers_block_type": ["linear_attention", "full_attention", "mlp", "moe"]},
    ],
)
def test_layers_in_every_spelling(said: dict[str, Any]) -> None:
    config = read_config(NemotronHConfig, {**UNSAID, **said, "moe_latent_size": 12})
    with torch.device("meta"):
        mixers: list[Any] = [layer.mixer for layer in NemotronH(config).model.layers]
    assert [type(mixer) for mixer in mixers] == [Mamba2, Attention, MLP, LatentExperts]
    assert mixers[1].rope is None
    assert mixers[3].experts.gate_proj is None
    assert mixers[3].experts.up_proj.weight.shape == (4 * 24, 12)
    assert mixers[3].shared_experts.up_proj.weight.shape == (40, 32)


def test_the_number_of_layers_follows_from_the_pattern() -> None:
    said = {key: value for key, value in UNSAID.items() if key != "num_hidden_layers"}
    assert read_config(NemotronHConfig, {**said, "hybrid_override_pattern": "MM*"}).layer_types == (
        "mamba",
        "mamba",
        "attention",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hybrid_override_pattern": "MX*-"}, "layer_types"),
        ({"hybrid_override_pattern": "M*"}, "2 entries for 4 layers"),
        ({"mlp_hidden_act": "silu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"n_groups": 3}, "mamba_n_groups 3 does not divide"),
        ({"time_step_limit": [2.0, 1.0]}, "time_step_limit"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_config(NemotronHConfig, {**UNSAID, "hybrid_override_pattern": "M*-E", **change})


def test_what_a_gguf_file_says_of_its_layers() -> None:
    config = {
        "model_type": "nemotron_h",
        "num_hidden_layers": 3,
        "num_key_value_heads": (0, 2, 0),
        "intermediate_size": (0, 0, 48),
    }
    values = {"nemotron_h.ssm.time_step_rank": 4, "nemotron_h.ssm.inner_size": 64}
    found = metadata(values, config)
    assert found["layer_types"] == ("mamba", "attention", "mlp")
    assert (found["num_key_value_heads"], found["intermediate_size"]) == (2, 48)
    assert (found["mamba_n_heads"], found["mamba_d_head"]) == (4, 16)
