"""The routing kernel chooses what the blocks choose, and sorts it right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from tramontane.blocks import BiasedRouter, GroupedRouter, Router
from tramontane_backend_cpu.kernels import mixture, routing
from tramontane_backend_cpu.step.memory import address
from tramontane_backend_cpu.step.products import arguments

TILE = 4
SCALE = 2.5


def block(kind: str, experts: int, k: int, groups: tuple[int, int], normalize: bool) -> Router:
    if kind == "softmax":
        return Router(8, experts, k, normalize=normalize, scale=SCALE)
    if kind == "balanced":
        balanced = Router(8, experts, k, normalize=normalize, scale=SCALE, balanced=True)
        assert balanced.balance is not None
        balanced.balance.data = torch.linspace(-1, 1, experts)
        return balanced
    family = GroupedRouter if kind == "grouped" else BiasedRouter
    made = family(8, experts, k, groups=groups, normalize=normalize, scale=SCALE)
    if isinstance(made, BiasedRouter):
        # with ties, as scores have them
        made.balance.data = (torch.arange(experts) % 3).float() / 8
    return made


def routed(router: Router, scores: torch.Tensor) -> tuple[Any, Any, Any, Any]:
    """Weights and experts by the kernel, what sorting left, and how many jobs follow."""
    count, experts = scores.shape
    k = router.k
    given = scores.numpy().copy()
    out = np.zeros((count, 2 * k), np.float32)
    size = routing.memory_bytes(experts)
    memory = np.zeros(size, np.uint8)
    sorting = np.zeros(routing.sorting_words(experts, k, count), np.int64)
    counts, many = np.zeros(2, np.int64), np.array([count])
    balance = None if router.balance is None else router.balance.detach().numpy()
    groups, taken = getattr(router, "groups", (1, 1))
    scale = np.array([SCALE], np.float32)
    told = arguments(
        routing.FIELDS, scores=address(given), scores_stride=4 * experts, experts=experts, k=k,
        groups=groups, taken=taken, normalize=int(router.normalize), scale=address(scale),
        balance=0 if balance is None else address(balance),
        factors=0 if router.factors is None else address(router.factors.numpy()),
        out=address(out), out_stride=8 * k, memory=address(memory), memory_bytes=size,
        sorting=address(sorting), count=address(many), counts=address(counts),
        gather=mixture.gather.address, gathered=0, tile=TILE, apart=0,
    )  # fmt: skip
    kernel = routing.router(isinstance(router, BiasedRouter))
    for row in range(count):
        kernel.ctypes(address(told), row, 0)
    return out[:, :k], out[:, k:].view(np.int32), sorting, counts


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("kind", "experts", "k", "groups"),
    [
        ("softmax", 128, 8, (1, 1)), ("softmax", 7, 7, (1, 1)), ("softmax", 40, 1, (1, 1)),
        ("balanced", 64, 6, (1, 1)), ("balanced", 21, 3, (1, 1)),
        ("grouped", 64, 6, (8, 3)), ("grouped", 10, 2, (5, 1)),
        ("biased", 160, 8, (1, 1)), ("biased", 256, 8, (8, 4)), ("biased", 6, 3, (3, 2)),
    ],
)  # fmt: skip
def test_choice_and_weights_of_the_blocks(
    kind: str, experts: int, k: int, groups: tuple[int, int], normalize: bool, ties: bool
) -> None:
    torch.manual_seed(experts)
    scores = 4 * torch.randn(50, experts)
    scores = scores.round() if ties else scores
    router = block(kind, experts, k, groups, normalize)
    weights, chosen, _, _ = routed(router, scores)
    expected_weights, expected = router.choose(scores)
    assert np.array_equal(chosen, expected.numpy())
    np.testing.assert_allclose(weights, expected_weights.numpy(), rtol=2e-6)


def test_of_equal_scores_the_first_is_chosen() -> None:
    router = block("softmax", 40, 5, (1, 1), True)
    assert router.choose(torch.zeros(1, 40))[1].tolist() == [[0, 1, 2, 3, 4]]


def test_broken_scores_choose_experts_that_there_are() -> None:
    nan = float("nan")
    scores = torch.tensor([[nan] * 20, [float("-inf")] * 20, [nan, *range(19)], [1e30] * 20])
    for kind in ("softmax", "grouped", "biased"):
        weights, chosen, _, _ = routed(block(kind, 20, 4, (5, 2), True), scores)
        assert all(len(set(row)) == 4 and set(row) <= set(range(20)) for row in chosen.tolist())
        assert np.isnan(weights[0]).all()
        assert np.isfinite(weights[3]).all()


@pytest.mark.parametrize("count", [3, 5, 40])
def test_sorted_rows_of_an_expert_lie_together(count: int) -> None:
    experts, k = 24, 4
    torch.manual_seed(count)
    _, chosen, sorting, counts = routed(
        block("softmax", experts, k, (1, 1), True), torch.randn(count, experts)
    )
    table = sorting[8 : 8 + 5 * experts].reshape(experts, 5)
    active = sorting[8 + 5 * experts :][: counts[0]]
    places = sorting[8 + 6 * experts :].reshape(count, k)
    assert sorting[0] == 0
    assert counts[1] == count
    assert active.tolist() == sorted(set(chosen.ravel().tolist()))
    assert sorted(places.ravel().tolist()) == list(range(count * k))
    given, between = set(), set()
    for expert in active:
        size, begin, first, middle, _ = table[expert]
        rows, columns = np.nonzero(chosen == expert)
        # in the order of rows, one after another
        assert places[rows, columns].tolist() == list(range(begin, begin + size))
        if size == 1:
            assert first == rows[0]
            continue
        taken = set(range(first, first + -(-size // TILE) * TILE))
        assert min(taken) >= count
        assert not taken & given
        given |= taken
    for expert in active:
        size, middle = table[expert][0], table[expert][3]
        taken = set(range(middle, middle + (1 if size == 1 else -(-size // TILE) * TILE)))
        assert not taken & between
        between |= taken


@pytest.mark.parametrize("kind", ["softmax", "biased"])
def test_factors_of_experts_come_last(kind: str) -> None:
    torch.manual_seed(1)
    scores = 4 * torch.randn(9, 6)
    router = block(kind, 6, 3, (1, 1), True)
    plain, chosen, _, _ = routed(router, scores)
    factors = torch.rand(6) + 0.5
    router.factors = nn.Parameter(factors, requires_grad=False)
    weights, again, _, _ = routed(router, scores)
    assert np.array_equal(chosen, again)
    assert np.array_equal(weights, plain * factors.numpy()[chosen])
