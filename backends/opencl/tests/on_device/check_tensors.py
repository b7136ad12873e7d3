"""Operations of torch on tensors of an OpenCL device: the same numbers as on the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane_backend_opencl import tensor

GENERATOR = torch.Generator().manual_seed(5)
A, B, ROW = (torch.randn(size, generator=GENERATOR) for size in ((6, 8), (6, 8), (8,)))
NUMBERS = torch.tensor([3, 0, -1])
OPERATIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda a, b, row, n: a + b,
    "with a row": lambda a, b, row, n: a * row - b,
    "with a number": lambda a, b, row, n: (a / 3 + 1) * 0.5,
    "of a transposed one": lambda a, b, row, n: a.T + b.T * 2,
    "of half types": lambda a, b, row, n: (a.half() + b.half()).float() + b.bfloat16(),
    "unary": lambda a, b, row, n: F.silu(a) + torch.sigmoid(b) + torch.tanh(a) - a.abs().sqrt(),
    "gelu": lambda a, b, row, n: F.gelu(a) + F.gelu(b, approximate="tanh"),
    "in place": lambda a, b, row, n: a.clone().add_(b).mul_(row),
    "shapes": lambda a, b, row, n: a.view(2, 3, 8).permute(2, 0, 1).reshape(-1, 6)[1:, ::2],
    "parts": lambda a, b, row, n: torch.cat((*a.chunk(2, -1), b[:, 3:5]), -1),
    "rows": lambda a, b, row, n: a[n] + b.index_select(0, n.abs()),
    "softmax, which has no kernel": lambda a, b, row, n: (a @ b.T).softmax(-1),
    "a mask, which has none": lambda a, b, row, n: torch.where(a > 0, b, row),
    "no rows": lambda a, b, row, n: a[:0] + b[:0],
}


def same(got: Any, expected: Tensor) -> None:
    assert isinstance(got, tensor.OpenclTensor)
    torch.testing.assert_close(got.cpu(), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("named", OPERATIONS)
def test_operations(where: torch.device, named: str) -> None:
    run = OPERATIONS[named]
    same(run(*(each.to(where) for each in (A, B, ROW, NUMBERS))), run(A, B, ROW, NUMBERS))


def test_numbers_put_to_places(where: torch.device) -> None:
    first, second = torch.tensor([1, 3]), torch.tensor([5, 0])
    plain, values = torch.zeros(4, 2, 3, 16), torch.randn(2, 2, 3)
    there = plain.to(where)
    plain[first, :, :, second] = values
    there[first.to(where), :, :, second.to(where)] = values.to(where)
    same(there, plain)
    same(there[first.to(where), :, :, second.to(where)], values)


def test_made_there(where: torch.device) -> None:
    same(torch.arange(4, device=where), torch.arange(4))
    same(torch.full((2, 3), 1.5, device=where), torch.full((2, 3), 1.5))
    same(torch.zeros(3, device=where), torch.zeros(3))


def test_written_in_part(where: torch.device) -> None:
    plain = A.clone()
    there = plain.to(where)
    plain[1:3, 2:] = 0
    there[1:3, 2:] = 0
    plain[:, 0] = ROW[:6]
    there[:, 0] = ROW[:6].to(where)
    plain.masked_fill_(plain > 1, -1)
    there.masked_fill_(there > 1, -1)
    same(there, plain)


def test_a_tensor_says_where_it_is(where: torch.device) -> None:
    there = torch.tensor([1.0, 2.0]).to(where)
    assert there.tolist() == [1.0, 2.0]
    assert f"on {where}" in repr(there)
    assert there[1].item() == 2.0
    with pytest.raises(TypeError, match="cpu"):
        there.numpy()
