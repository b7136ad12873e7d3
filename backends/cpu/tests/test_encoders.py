"""Encoders of pictures on the CPU: their attention, and layers as programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.blocks import Linear
from tramontane.blocks.vision import (
    EncoderLayer,
    VisionConfig,
    VisionLayer,
    in_parts,
    packed_attention,
)
from tramontane.layouts import Dense
from tramontane_backend_cpu.eager_encoder import attend_packed
from tramontane_backend_cpu.prepare import _activate, _compile_layers
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.step.row_program import RowProgram

POOL = shared_pool(2)


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("width", [8, 72])
@pytest.mark.parametrize("lengths", [[1], [64, 16, 5], [70, 33], [1100]])
def test_patches_see_their_own_picture(lengths: Sequence[int], width: int) -> None:
    """1100 patches are more than one of the splits that sums are taken in."""
    q, k, v = numbers(3, sum(lengths), 2, width)
    found, expected = attend_packed(POOL)(q, k, v, lengths), packed_attention(q, k, v, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_picture_has_the_same_bits_beside_others() -> None:
    q, k, v = numbers(3, 90, 2, 24)
    together = attend_packed(POOL)(q, k, v, [70, 20])
    alone = attend_packed(POOL)(q[70:], k[70:], v[70:], [20])
    assert torch.equal(together[70:], alone)


def layer_of(kind: torch.dtype, act: Any) -> VisionLayer:
    cfg = VisionConfig(hidden_size=48, intermediate_size=80, num_attention_heads=4, hidden_act=act)
    return filled(VisionLayer(cfg), kind)


def filled(layer: VisionLayer, kind: torch.dtype) -> VisionLayer:
    for module in layer.modules():
        if isinstance(module, Linear):
            module.weight = Dense(numbers(*module.weight.shape).mul(0.1).to(kind))
        for parameter in module.parameters(recurse=False):
            parameter.copy_(numbers(*parameter.shape).mul(0.1) + 1)
    return layer


@pytest.mark.parametrize("act", ["gelu_pytorch_tanh", "gelu", "quick_gelu"])
@pytest.mark.parametrize(("kind", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_a_layer_is_recorded(kind: torch.dtype, bound: float, act: str) -> None:
    layer = layer_of(kind, act)
    x = numbers(40, 48)
    with torch.inference_mode():
        expected = layer.float()(x, [40])
        _compile_layers(layer, POOL, exact=False)  # type: ignore[arg-type]
        _activate(layer, POOL)  # type: ignore[arg-type]
        found = layer(x, [40])
        for name in layer.by_rows:
            program = getattr(layer, name)
            assert isinstance(program, RowProgram)
            assert program.why is None
        assert (found - expected).abs().max() <= bound * expected.abs().max()
        ended = layer.end(x, x)
        assert torch.equal(ended[7:23], layer.end(x[7:23], x[7:23])), "rows depend on others"


class Odd(EncoderLayer):
    """What cannot be recorded: rows that see each other."""

    heads = 2

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.flip(0)
        return x, x, x


def test_what_cannot_be_recorded_runs_as_written() -> None:
    layer = Odd()
    _compile_layers(layer, POOL, exact=False)  # type: ignore[arg-type]
    x = numbers(5, 8)
    assert torch.equal(layer.begin(x)[0], x.flip(0))
    assert "flip" in layer.begin.why  # type: ignore[attr-defined]


def test_parts_are_what_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane.blocks.vision.PART", 16 * 64)
    matrix = Linear(8, 8)
    matrix.weight = Dense(numbers(8, 8))
    x, pauses = numbers(50, 8), 0
    parts = in_parts(lambda rows: (matrix(rows),), [x], matrix)
    while True:
        try:
            next(parts)
            pauses += 1
        except StopIteration as end:
            torch.testing.assert_close(end.value[0], matrix(x))
            break
    assert pauses == 3
