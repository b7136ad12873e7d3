"""Matrices of any strides, types and heights: right, and each row's bits its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane.backend import Device
from tramontane.blocks import ACTIVATIONS, Embedding, Linear, StackedLinear
from tramontane.layouts import Affine, Dense, Layout
from tramontane.testing.forward_passes import whole
from tramontane.testing.random_model import random_model
from tramontane.testing.tiny_model import TINY
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.eager import activate
from tramontane_backend_cpu.experts import KERNELS
from tramontane_backend_cpu.packing import Apart
from tramontane_backend_cpu.prepare import prepare, repack
from tramontane_backend_cpu.step.memory import address, rows_at
from tramontane_backend_cpu.step.pool import shared_pool

from .matrices import affine, check


def turned(data: Tensor) -> Tensor:
    """The same numbers in the order of columns."""
    return data.mT.contiguous().mT


def device() -> Device:
    return probe()[0]


def row_by_row(multiply: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """What any split of the rows gives has the same bits."""
    expected = multiply(x)
    for step in (1, 3, 7):
        assert torch.equal(torch.cat([multiply(part) for part in x.split(step)]), expected)


def test_a_kernel_is_given_no_address_of_other_strides() -> None:
    data = turned(torch.randn(3, 5))
    with pytest.raises(AssertionError, match="strides"):
        rows_at(data)
    with pytest.raises(AssertionError, match="strides"):
        address(data.numpy())


@pytest.mark.parametrize("size", [8, 1 << 11])
def test_plain_matrices_are_made_contiguous(size: int) -> None:
    data = turned(torch.randn(size, size))
    made = repack(Dense(data), device(), 1)
    assert isinstance(made, Dense)
    assert made.data.is_contiguous()
    assert torch.equal(made.data, data)


def test_a_model_of_other_strides_gives_the_same_bits() -> None:
    models = [random_model(TINY) for _ in range(2)]
    for module in models[1].modules():
        if isinstance(module, (Linear, Embedding, StackedLinear)):
            assert isinstance(module.weight, Dense)
            module.weight = Dense(turned(module.weight.data))
    for model in models:
        prepare(model, device(), 1)
    first, second = (whole(model, list(range(9))) for model in models)
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", [torch.float64, torch.float8_e4m3fn, torch.float8_e5m2])
def test_plain_numbers_without_a_kernel(kind: torch.dtype) -> None:
    linear = Linear(37, 21)
    linear.weight = Dense(torch.randn(21, 37).to(kind))
    model = torch.nn.ModuleList([linear])
    chosen = _prepared(model)
    assert next(iter(chosen.values())) == "decoded, then compiled"
    x = torch.randn(23, 37)
    expected = x.double() @ linear.weight.decode(torch.float64).T
    torch.testing.assert_close(linear(x).double(), expected, rtol=1e-5, atol=1e-4)
    row_by_row(linear, x)


def test_a_packed_matrix_without_a_kernel() -> None:
    weight: Layout = affine(4, 8, 1, "zero", (21, 40))
    linear = Linear(40, 21)
    linear.weight = weight
    assert "decoded" in next(iter(_prepared(torch.nn.ModuleList([linear])).values()))
    x = torch.randn(23, 40)
    assert isinstance(weight, Affine)
    check(linear(x), x, weight, exact=True)
    row_by_row(linear, x)


def test_stacked_matrices_of_few_rows() -> None:
    """Each is packed for itself where one would end within another's block of rows."""
    weight = affine(4, 32, 1, "zero", (3 * 20, 64))
    stack = StackedLinear(3, 64, 20)
    stack.weight = weight
    _prepared(torch.nn.ModuleList([stack]), "f32")
    assert isinstance(stack.weight, Apart)
    assert stack.weight.shape == (60, 64)
    x = torch.randn(11, 64)
    out = stack(x, torch.tensor([4, 0, 7]))
    check(out[:4], x[:4], weight.rows(slice(0, 20)), exact=True)
    check(out[4:], x[4:], weight.rows(slice(40, 60)), exact=True)
    row_by_row(lambda part: stack(part, torch.tensor([0, len(part), 0])), x)


@pytest.mark.parametrize("width", [1, 7, 18, 37, 64])
@pytest.mark.parametrize("name", list(KERNELS))
def test_activations_as_models_are_written(name: str, width: int) -> None:
    x = 3 * torch.randn(23, width)
    bend = activate(KERNELS[name], shared_pool(2))
    torch.testing.assert_close(bend(x), ACTIVATIONS[name](x), rtol=1e-4, atol=1e-5)
    row_by_row(bend, x)
    for kind in (torch.bfloat16, torch.float16):
        assert bend(x.to(kind)).dtype == kind
        row_by_row(bend, x.to(kind))
    assert bend(x[:0]).shape == (0, width)


def test_a_sigmoid_that_routes() -> None:
    x = torch.randn(23, 5).double()
    bend = activate("sigmoid", shared_pool(1))
    torch.testing.assert_close(bend(x), F.sigmoid(x), rtol=1e-5, atol=1e-6)


def _prepared(blocks: torch.nn.ModuleList, activations: str = "auto") -> dict[str, str]:
    model = random_model(TINY)
    model.more = blocks
    chosen = dict(prepare(model, device(), 2, activations))
    kinds = {f"{type(b).__name__.lower()} {b.weight.kind}" for b in blocks}
    return {kind: chosen.get(kind, "") for kind in kinds}
