"""Which layers share, how much a gate lets through, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gemma.gemma3n import SparseGate, weights
from tramontane_arch_gemma.gemma3n_config import Gemma3nConfig, fields
from tramontane_arch_gemma.plugin import BY_TOKEN, SPARSE, TINY

SMALL = {**TINY, **BY_TOKEN, **SPARSE, "num_hidden_layers": 4, "sliding_window": 8,
         "layer_types": ["sliding_attention", "full_attention"] * 2,
         "num_kv_shared_layers": 2}  # fmt: skip


def test_a_gate_lets_the_largest_through() -> None:
    gate = torch.randn(3, 4000, generator=torch.Generator().manual_seed(2))
    out = SparseGate(1.6448536)(gate, torch.ones_like(gate))
    assert ((out != 0).float().mean(-1) - 0.05).abs().max() < 0.01


def test_what_is_left_out_follows_from_the_layers() -> None:
    needed = {k: v for k, v in SMALL.items() if k not in SPARSE and k != "layer_types"}
    cfg = read_config(
        Gemma3nConfig, {**needed, "num_hidden_layers": 30, "num_kv_shared_layers": 10}
    )
    assert [index for index in range(30) if cfg.window(index) is None] == [4, 9, 14, 19, 24, 29]
    assert cfg.activation_sparsity_pattern == (0.95,) * 10 + (0.0,) * 20
    assert [cfg.keeps(index) for index in range(18, 26)] == [18, 19, 18, 18, 18, 18, 19, 18]


def test_widths_may_differ() -> None:
    cfg = read_config(Gemma3nConfig, {**SMALL, "intermediate_size": [8, 6, 8, 4]})
    assert cfg.intermediate_size == (8, 6, 8, 4)


def test_further_streams_by_number_and_stacked() -> None:
    rules = weights(read_config(Gemma3nConfig, SMALL))
    (end,) = follow("model.language_model.altup_projections.1", "weight", rules["hf"])
    assert end[0] == "model.spread_2"
    ends = follow("altup_unembd_proj", "weight", rules["gguf"])
    assert [path for path, _, _ in ends] == [f"model.gather_{index}" for index in (1, 2, 3)]


def test_a_gguf_file_says_it_in_its_own_words() -> None:
    metadata = {"gemma3n.altup.num_inputs": 3, "gemma3n.attention.shared_kv_layers": 1,
                "gemma3n.activation_sparsity_scale": [1.6448535, float("-inf")]}  # fmt: skip
    found = fields(metadata, {"vocab_size": 64})
    assert found.pop("activation_sparsity_pattern") == pytest.approx([0.95, 0.0])
    assert found == {
        "altup_num_inputs": 3, "num_kv_shared_layers": 1, "vocab_size_per_layer_input": 64,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"activation_sparsity_pattern": [0.95]},
        {"activation_sparsity_pattern": [1.0, 0.0, 0.0, 0.0]},
        {"altup_active_idx": 4},
        {"altup_num_inputs": 0},
        {"hidden_size_per_layer_input": 0},
        {"intermediate_size": [8, 6]},
        {"num_kv_shared_layers": 3},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
        {"attention_bias": True},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Gemma3nConfig, {**SMALL, **change})
