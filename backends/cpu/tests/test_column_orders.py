"""Matrices whose columns are stored in another order: products, tables, experts, recorded steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.blocks import CausalLM, Experts, Linear, StackedLinear
from tramontane.layouts import Affine, Permuted
from tramontane.testing.forward_passes import together, whole
from tramontane.testing.tiny_model import tiny_model
from tramontane.testing.tiny_variants import VARIANTS
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.eager import embed_packed, multiply_packed
from tramontane_backend_cpu.packing import Interleaved, can_pack, pack
from tramontane_backend_cpu.prepare import prepare
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.target import SET

from .matrices import affine
from .test_record import looks_at_spans

TOKENS = (1, 3, 2 * SET.tile + 1)
PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 33, 8)]
Order = Callable[[Linear | StackedLinear, int], Tensor]


def shuffled(columns: int, seed: int = 1, parts: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(columns, generator=random) for _ in range(parts)]
    return torch.stack(orders).int()


@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize(("rows", "columns"), [(21, 48), (33, 384), (50, 512)])
def test_products_and_rows_of_a_table(rows: int, columns: int, exact: bool) -> None:
    stored = affine(4, 16, 1, "zero", (rows, columns))
    weight = Permuted(stored, shuffled(columns))
    assert can_pack(weight)
    packed: Any = Interleaved(pack(weight, shared_pool(2)), weight.kind)
    plain: Any = Interleaved(pack(stored, shared_pool(2)), stored.kind)
    multiply = multiply_packed(exact, shared_pool(2))
    x = torch.randn(TOKENS[-1], columns)
    for tokens in TOKENS:
        got = multiply(x[:tokens], packed)
        # the very bits of the stored matrix with the vector's numbers in its order
        assert torch.equal(got, multiply(x[:tokens, weight.order[0].long()], plain))
    wide = weight.decode().double()
    assert (got.double() - x.double() @ wide.T).norm() / got.norm() < (1e-5 if exact else 2e-2)
    tokens = torch.tensor([0, rows - 1, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    assert torch.equal(embed_packed(tokens, packed, torch.float32), expected)


def test_several_orders_are_only_for_matrices_below_each_other() -> None:
    weight = Permuted(affine(4, 32, 1, "zero", (64, 64)), shuffled(64, parts=2))
    assert not can_pack(weight)
    assert can_pack(weight, 2)


@pytest.mark.parametrize("rows", [32, 20])
@pytest.mark.parametrize("parts", [1, 3])
def test_stacked_matrices(parts: int, rows: int) -> None:
    stack = StackedLinear(3, 64, rows)
    weight = Permuted(affine(4, 32, 1, "zero", (3 * rows, 64)), shuffled(64, parts=parts))
    stack.weight = weight
    model = tiny_model("float32")
    model.more = torch.nn.ModuleList([stack])
    prepare(model, probe()[0], 2, "f32")
    counts = torch.tensor([4, 0, 7])
    x = torch.randn(11, 64)
    expected = reference.grouped_linear(x, counts, weight)
    torch.testing.assert_close(stack(x, counts), expected, rtol=1e-5, atol=1e-4)


def one(module: Linear | StackedLinear, index: int) -> Tensor:
    """Of the same input the same: q, k, v; gate, up."""
    return shuffled(module.weight.shape[1])


def each(module: Linear | StackedLinear, index: int) -> Tensor:
    """Every matrix has its own."""
    return shuffled(module.weight.shape[1], index)


def each_expert(module: Linear | StackedLinear, index: int) -> Tensor:
    """Every expert has its own, gate and up the same."""
    return shuffled(module.weight.shape[1], 5, getattr(module, "count", 1))


def permuted(order: Order, variant: str) -> CausalLM:
    """A model all of whose matrices have columns in other orders."""
    model = tiny_model("affine4", VARIANTS[variant])
    for index, module in enumerate(model.modules()):
        if isinstance(module, (Linear, StackedLinear)) and isinstance(module.weight, Affine):
            module.weight = Permuted(module.weight, order(module, index))  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("activations", ["f32", "auto"])
@pytest.mark.parametrize(
    ("order", "variant", "recorded"),
    [
        (one, "plain", True), (each, "plain", True), (one, "experts", True),
        (each_expert, "experts", True), (each, "experts", False),
        (each_expert, "biased experts", True),
    ],
)  # fmt: skip
def test_models(order: Order, variant: str, recorded: bool, activations: str) -> None:
    plain, model, eager = (permuted(order, variant) for _ in range(3))
    looks_at_spans(eager)
    chosen = prepare(model, probe()[0], 2, activations)
    assert (chosen["step"] == "recorded") == recorded, chosen["step"]
    assert prepare(eager, probe()[0], 2, activations)["step"].startswith("eager")
    expected = [whole(plain, prompt) for prompt in PROMPTS]
    alone = [whole(model, prompt) for prompt in PROMPTS]
    for got, other, logits, prompt in zip(alone, together(model, PROMPTS), expected, PROMPTS,
                                          strict=True):  # fmt: skip
        allowed = 1e-4 if activations == "f32" else 0.1
        assert (got - logits).norm() / logits.norm() < allowed
        assert (got - whole(eager, prompt)).norm() / logits.norm() < allowed
        assert torch.equal(other, got)


def test_each_product_of_experts_is_still_the_layouts() -> None:
    """Although rows of two are stored as the third reads them."""
    plain, model = (permuted(each_expert, "experts") for _ in range(2))
    prepare(model, probe()[0], 2, "f32")
    ordered = 0
    for module, twin in zip(model.modules(), plain.modules(), strict=True):
        if isinstance(module, StackedLinear):
            packed: Any = module.weight
            ordered += packed.packed.row_orders is not None
            counts = torch.tensor([3, 0, 17, 5])
            x = torch.randn(25, twin.weight.shape[1])
            expected = reference.grouped_linear(x, counts, twin.weight)
            torch.testing.assert_close(module(x, counts), expected, rtol=1e-4, atol=1e-4)
        if isinstance(module, Experts):
            x = torch.randn(25, module.gate_proj.weight.shape[1])
            counts = torch.tensor([3, 0, 17, 5])
            expected = twin.through(x, counts)
            torch.testing.assert_close(module.through(x, counts), expected, rtol=1e-4, atol=1e-4)
    assert ordered
    assert ordered % 2 == 0


def test_equal_orders_are_converted_once() -> None:
    def conversions(order: Order) -> int:
        model = permuted(order, "plain")
        prepare(model, probe()[0], 1, "auto")
        program: Any = model.step.__self__.program  # type: ignore[attr-defined]
        names = [node.name for phase in program._phases for node in phase.nodes]
        return names.count("convert")

    assert conversions(each) > conversions(one)


def test_orders_do_not_change_the_others_bits() -> None:
    plain, same = tiny_model("affine4"), tiny_model("affine4")
    for module in same.modules():
        if isinstance(module, Linear) and isinstance(module.weight, Affine):
            straight = torch.arange(module.weight.shape[1]).int()[None]
            module.weight = Permuted(module.weight, straight)  # type: ignore[assignment]
    for model in (plain, same):
        prepare(model, probe()[0], 2, "auto")
    results = [[whole(model, prompt) for prompt in PROMPTS] for model in (plain, same)]
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)
