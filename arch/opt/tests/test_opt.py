"""Which rows of positions count, and how the 350M differs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_opt.model import WEIGHTS, FirstRowsOut, NormedSums, Opt, OptConfig
from tramontane_arch_opt.plugin import TINY

SMALL = {"do_layer_norm_before": False, "word_embed_proj_dim": 20}


def built(told: dict[str, Any]) -> Any:
    config = read_config(OptConfig, {**TINY, **told})
    with torch.device("meta"):
        return Opt(config)


def test_the_first_two_positions_are_nobodys() -> None:
    out = FirstRowsOut("positions", 2).change(Dense(torch.arange(8.0).view(4, 2)), "", built({}))
    assert out.decode().tolist() == [[4.0, 5.0], [6.0, 7.0]]


def test_the_350m() -> None:
    model = built(SMALL)
    assert isinstance(model.model.layers[0], NormedSums)
    assert isinstance(model.model.norm, torch.nn.Identity)
    assert model.model.embed_tokens.weight.shape == (64, 20)
    assert isinstance(built({"_remove_final_layer_norm": True}).model.norm, torch.nn.Identity)


@pytest.mark.parametrize("start", ["decoder", "model.decoder"])
def test_names_of_older_files(start: str) -> None:
    ((path, _, _),) = follow(f"{start}.layers.1.final_layer_norm", "weight", WEIGHTS["hf"])
    assert path == "model.layers.1.post_attention_layernorm"
    ((path, _, _),) = follow(f"{start}.final_layer_norm", "weight", WEIGHTS["hf"])
    assert path == "model.norm"


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "silu"}, {"layer_norm_elementwise_affine": False}, {"word_embed_proj_dim": 0}],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(OptConfig, {**TINY, **change})
