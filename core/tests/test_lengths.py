"""Dividing by the lengths of a matrix's rows or columns instead of dividing the matrix."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from tramontane.blocks import Lengths
from tramontane.checkpoint.length_rules import LengthsOf
from tramontane.layouts import Dense

MATRIX = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, -2.0]])


@pytest.mark.parametrize("columns", [False, True])
def test_the_matrix_may_stay_as_it_is(columns: bool) -> None:
    rule = LengthsOf("lm_head", "lengths", columns=columns, least=1e-12, more=1e-7)
    assert rule.paths("lm_head") == ("lm_head", "lengths")
    head = Dense(MATRIX)
    assert rule.change(head, "lm_head", nn.Module()) is head
    lengths = rule.change(head, "lengths", nn.Module()).decode()
    divided = MATRIX / MATRIX.norm(dim=0 if columns else 1, keepdim=True).clamp(min=1e-12)
    module = Lengths(len(lengths))
    module.weight.data = lengths
    x = torch.tensor([[0.5, -1.0], [2.0, 0.25]])
    found = module(x) @ MATRIX.T if columns else module(x @ MATRIX.T)
    torch.testing.assert_close(found, x @ divided.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("columns", "count"), [(False, 3), (True, 2)])
def test_shapes_are_known_before_anything_is_read(columns: bool, count: int) -> None:
    rule = LengthsOf("lm_head", "lengths", columns=columns)
    found = rule.change(Dense(MATRIX.to("meta")), "lengths", nn.Module())
    assert found.shape == (count,)
    shapes = {"lm_head.weight": (3, 2), "lengths.weight": (count,)}
    assert rule.backwards(shapes, nn.Module()) == {"lm_head.weight": (3, 2)}
