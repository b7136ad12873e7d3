"""Which layers rotate, see chunks and have experts; how queries grow; what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.llama4 import Llama4, Tempering
from tramontane_arch_llama.llama4_config import Llama4Config, fields
from tramontane_arch_llama.plugin import CHUNKS, TINY

SMALL = TINY | CHUNKS


def attentions(**change: Any) -> list[Any]:
    with torch.device("meta"):
        model: Any = Llama4(read_config(Llama4Config, {**SMALL, **change}))
    return [layer.self_attn for layer in model.model.layers]


def test_every_fourth_layer_knows_no_positions_and_sees_everything() -> None:
    told = [(a.rope is None, a.chunk, a.qk_norm is None, a.tempering is None)
            for a in attentions()]  # fmt: skip
    assert told == [(False, 5, False, True)] * 3 + [(True, None, True, False)]


@pytest.mark.parametrize(
    ("change", "rotates", "chunks"),
    [
        ({"no_rope_layers": [0, 1, 1, 0]}, [0, 1, 1, 0], [0, 1, 1, 0]),
        ({"no_rope_layers": []}, [1, 1, 1, 0], [1, 1, 1, 0]),
        ({"no_rope_layer_interval": 2}, [1, 0, 1, 0], [1, 0, 1, 0]),
        ({"layer_types": ["full_attention", "chunked_attention"] * 2}, [1, 1, 1, 0], [0, 1, 0, 1]),
    ],
    ids=str,
)
def test_lists_of_layers(change: dict[str, Any], rotates: list[int], chunks: list[int]) -> None:
    found = attentions(**change)
    assert [int(a.rope is not None) for a in found] == rotates
    assert [int(a.chunk is not None) for a in found] == chunks


def test_which_layers_have_experts() -> None:
    every = read_config(Llama4Config, SMALL)
    assert [every.has_experts(index) for index in range(4)] == [False, True, False, True]
    listed = read_config(Llama4Config, {**SMALL, "moe_layers": [0]})
    assert [listed.has_experts(index) for index in range(4)] == [True, False, False, False]


def test_queries_grow_with_their_position() -> None:
    cos, sin = Tempering(6, 0.1, 4).angles(torch.tensor([0, 2, 3, 7, 11]), torch.zeros(5))
    wanted = [1 + 0.1 * math.log(1 + periods) for periods in (0, 0, 1, 2, 3)]
    torch.testing.assert_close(cos, torch.tensor(wanted)[:, None, None].expand(5, 1, 3))
    assert (sin == 0).all()


def test_the_first_files_have_a_number_for_tempering() -> None:
    assert read_config(
        Llama4Config, {**SMALL, "attn_temperature_tuning": 4}
    ).attn_temperature_tuning


def test_a_gguf_file_says_it_in_its_own_words() -> None:
    config = {"intermediate_size": 512, "moe_intermediate_size": 256, "num_local_experts": 128}
    assert fields({}, config) == {
        "attention_chunk_size": 8192, "use_qk_norm": False, "intermediate_size": 256,
        "intermediate_size_mlp": 512,
    }  # fmt: skip
    whole = fields({"llama4.attention.sliding_window": 0}, config)
    assert whole["attention_chunk_size"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"num_experts_per_tok": 2},
        {"attention_chunk_size": 0},
        {"attention_chunk_size": None},
        {"hidden_act": "gelu"},
        {"no_rope_layers": [1, 0]},
        {"layer_types": ["sliding_attention"] * 4},
        {"floor_scale": 0},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(Llama4Config, {**SMALL, **change})
