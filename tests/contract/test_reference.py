"""Every family of ours computes on the CPU backend what transformers does, from safetensors."""

from __future__ import annotations

import pytest
import torch
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.compare import compare

OFFERS = Registry().all(Architecture)


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.name)
def test_the_example_is_equal_on_the_cpu_backend(offer: Architecture) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert compare(offer, device="cpu").difference < 1e-5
    finally:
        torch.set_num_threads(threads)
