"""Kernels in Triton's interpreter: these files run in a process of their own, see
`test_in_the_interpreter.py`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from tramontane_backend_cuda.card import Card

FULL = os.environ.get("TRAMONTANE_FULL") == "1"


@pytest.fixture
def card() -> Card:
    return Card(interpreted=True)


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of tiles add one column after the other, as matrix instructions do: numpy's own
    adds in an order that depends on how many rows there are."""
    from triton.runtime import interpreter

    def dot(builder: Any, a: Any, b: Any, d: Any, *options: Any) -> Any:
        total = d.data
        for column in range(a.data.shape[1]):
            left = a.data[:, column, None].astype(np.float32)
            total = total + left * b.data[None, column].astype(np.float32)
        return interpreter.TensorHandle(total, d.dtype.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", dot)
