"""Where packed matrices lie."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tramontane.layouts import Affine
from tramontane_backend_cpu.arena import end_shared, shared
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import repack

MATRIX = Affine(8, 32, (torch.zeros(64, 64, dtype=torch.uint8),), torch.ones(64, 2))


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    end_shared()
    yield
    end_shared()


def place(weight: object) -> int:
    return int(weight.packed.arrays["low"].ctypes.data)  # type: ignore[attr-defined]


def test_matrices_packed_one_by_one_share_pages() -> None:
    device = probe()[0]
    first, second = (repack(MATRIX, device, 1) for _ in range(2))
    assert 0 < abs(place(second) - place(first)) < 64 << 10


def test_the_next_model_has_its_own() -> None:
    before = shared(0)
    assert shared(0) is before
    end_shared()
    assert shared(0) is not before
