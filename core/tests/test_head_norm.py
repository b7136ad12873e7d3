"""Norms of heads against Cohere's and Llama's in transformers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from tramontane.blocks import HeadNorm, LayerNorm, RMSNorm

X = torch.randn(5, 3, 20, generator=torch.Generator().manual_seed(0)) * 2 + 1
WEIGHT = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))


def filled(norm: nn.Module, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    norm.weight.data = weight
    if bias is not None:
        norm.bias.data = bias
    return norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layer_norm_of_each_head_is_coheres(dtype: torch.dtype) -> None:
    cohere = pytest.importorskip("transformers.models.cohere.modeling_cohere")
    theirs = filled(cohere.CohereLayerNorm((3, 20), 1e-5), WEIGHT)
    ours = filled(HeadNorm(20, 1e-5, heads=3, center=True), WEIGHT)
    exact = 1e-6 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(ours(X.to(dtype)), theirs(X.to(dtype)), rtol=exact, atol=exact)


def test_one_weight_for_all_heads_is_the_plain_norm() -> None:
    one, more = WEIGHT[0], WEIGHT[1]
    rms = filled(HeadNorm(20, 1e-5), one)(X), filled(RMSNorm(20, 1e-5), one)(X)
    assert torch.equal(*rms)
    ours = filled(HeadNorm(20, 1e-5, center=True, bias=True), one, more)(X)
    torch.testing.assert_close(ours, filled(LayerNorm(20, 1e-5), one, more)(X))


def test_each_head_has_its_own_weight() -> None:
    found = filled(HeadNorm(20, 1e-5, heads=3), WEIGHT)(X)
    for head in range(3):
        expected = filled(RMSNorm(20, 1e-5), WEIGHT[head])(X[:, head])
        assert torch.equal(found[:, head], expected)


def test_a_bias_needs_a_mean() -> None:
    with pytest.raises(ValueError, match="bias=True needs center=True"):
        HeadNorm(20, 1e-5, bias=True)


@pytest.mark.parametrize("center", [True, False])
def test_without_a_weight_it_is_a_weight_of_ones(center: bool) -> None:
    plain = HeadNorm(20, 1e-5, center=center, weighted=False)
    assert not [*plain.parameters()]
    assert torch.equal(plain(X), filled(HeadNorm(20, 1e-5, center=center), torch.ones(20))(X))
