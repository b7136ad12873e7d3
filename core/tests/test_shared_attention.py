"""Attention over another layer's keys and values: no cache of its own, the same results."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from tramontane.blocks import Attention, Router, SharedAttention, rope_for
from tramontane.config import DecoderConfig, read_config
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache, bytes_per_token
from tramontane.engine.kv_shapes import kv_shapes, kv_windows

SIZES = {"vocab_size": 8, "hidden_size": 24, "intermediate_size": 8, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6}  # fmt: skip


@pytest.fixture
def layers() -> nn.ModuleList:
    """Two layers with keys and values, the second with a window, and one that has the second's."""
    torch.manual_seed(0)
    cfg = read_config(DecoderConfig, SIZES)
    made: list[Any] = [Attention(cfg, 0, rope=rope_for(cfg)),
                       Attention(cfg, 1, rope=rope_for(cfg), window=5),
                       SharedAttention(cfg, 1, rope=rope_for(cfg), window=5)]  # fmt: skip
    for each in made:
        for module in each.children():
            module.weight.data.normal_(0, 0.3)
    return nn.ModuleList(made)


def test_the_cache_has_no_room_for_it(layers: nn.ModuleList) -> None:
    assert kv_shapes(layers) == [(2, 6, 6), (2, 6, 6)]
    assert kv_windows(layers, 100) == [None, (5, False)]
    assert bytes_per_token(layers, torch.float32) == 2 * 2 * (6 + 6) * 4


def test_it_has_queries_alone(layers: nn.ModuleList) -> None:
    assert {name for name, _ in layers[2].named_children()} == {"q_proj", "o_proj"}


def test_it_sees_what_the_other_layer_stored(layers: nn.ModuleList) -> None:
    cache = KVCache(layers, 4, torch.float32, torch.device("cpu"))
    batch = Batch.of([(0, 9, 9, cache.take(1), [])], cache)
    x, _, shared = torch.randn(9, 24), layers[0], layers[2]
    layers[1](x, batch)
    for name in ("q_proj", "o_proj"):
        getattr(layers[1], name).weight = getattr(shared, name).weight
    other = torch.randn(9, 24)
    expected = layers[1].mix(
        layers[1].rope(layers[1].q_proj(other).unflatten(-1, (-1, 6)), batch), batch
    )
    assert torch.equal(shared(other, batch), expected)


def test_factors_multiply_the_weights_of_experts() -> None:
    torch.manual_seed(0)
    router = Router(8, 5, 2, normalize=True)
    router.weight.data.normal_()
    x = torch.randn(7, 8)
    weights, chosen = router(x)
    router.factors = nn.Parameter(torch.rand(5), requires_grad=False)
    assert torch.equal(router(x)[0], weights * router.factors[chosen])
