"""Experts in one run give what they give one by one, and each row the same bits as alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane.blocks import ACTIVATIONS, ClampedSwiGLU, Experts
from tramontane.testing.tiny_model import LAYOUTS, TINY
from tramontane_backend_cpu.eager import multiply_packed, multiply_stacked
from tramontane_backend_cpu.experts import TOGETHER, mixture
from tramontane_backend_cpu.packing import Interleaved, pack
from tramontane_backend_cpu.step.pool import shared_pool

COUNT = TOGETHER + 5
HIDDEN, WIDE = 256, 96


def packed(
    layout: str, act: str = "silu", glu: ClampedSwiGLU | None = None, gated: bool = True
) -> Experts:
    from tramontane.config import DecoderConfig, read_config

    config = read_config(DecoderConfig, TINY.example)
    torch.manual_seed(6)
    experts = Experts(
        config, COUNT, WIDE, act=ACTIVATIONS[act], glu=glu, bias=glu is not None, gated=gated
    )
    pool = shared_pool(2)
    for part in experts.matrices:
        affine = LAYOUTS[layout](torch.randn(part.weight.shape) / 16)
        part.weight = Interleaved(pack(affine, pool), affine.kind)  # type: ignore[arg-type, assignment]
        if part.bias is not None:
            part.bias.data = torch.randn(part.bias.shape)
    return experts


def one_by_one(experts: Experts, exact: bool, x: Tensor, counts: Tensor) -> Tensor:
    for part in experts.matrices:
        part.kernel = multiply_stacked(multiply_packed(exact, shared_pool(2)))
    return experts.through(x, counts)


@pytest.mark.parametrize("way", ["silu", "clamped", "no gate"])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("layout", ["affine4", "affine8"])
@pytest.mark.parametrize(
    "counts",
    [{3: 1}, {0: 1, 7: 1, 20: 1}, {1: 3, 2: 40, 20: 9}, dict.fromkeys(range(COUNT), 2)],
    ids=["one", "three", "uneven", "all"],
)
def test_one_run_against_one_by_one_and_each_row_alone(
    counts: dict[int, int], layout: str, exact: bool, way: str
) -> None:
    glu = ClampedSwiGLU(0.5, 1.702, 1.0) if way == "clamped" else None
    experts = packed(layout, glu=glu, gated=way != "no gate")
    told = torch.tensor([counts.get(index, 0) for index in range(COUNT)])
    x = torch.randn(int(told.sum()), HIDDEN)
    fused = mixture(experts, exact, shared_pool(2))
    assert fused is not None
    # its own function between matrices may round otherwise than torch's
    experts.act = lambda values: values * 0 + F.silu(values)
    close = one_by_one(experts, exact, x, told)
    got = fused(x, told)
    torch.testing.assert_close(
        got, close, rtol=1e-5 if exact else 2e-2, atol=1e-5 if exact else 2e-2
    )
    rows = torch.cat([fused(row, _only(told, index)) for index, row in _rows(x, told)])
    assert torch.equal(got, rows)


def _rows(x: Tensor, counts: Tensor) -> list[tuple[int, Tensor]]:
    owners = torch.arange(len(counts)).repeat_interleave(counts)
    return [(int(owner), x[place : place + 1]) for place, owner in enumerate(owners)]


def _only(counts: Tensor, index: int) -> Tensor:
    alone = torch.zeros_like(counts)
    alone[index] = 1
    return alone


def test_what_has_no_kernels_stays_as_it_is() -> None:
    experts = packed("affine4")
    experts.act = torch.sin
    assert mixture(experts, True, shared_pool(2)) is None
    experts.glu = torch.add
    assert mixture(experts, True, shared_pool(2)) is None
    assert mixture(packed("affine4", "gelu"), True, shared_pool(2)) is not None
