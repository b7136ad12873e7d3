"""What every backend must do: find its devices quietly, and compute what the reference does."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
import torch

from tramontane.backend import Device
from tramontane.plugin import Backend, load
from tramontane.testing.passes import in_pieces, together, whole
from tramontane.testing.tiny import LAYOUTS, tiny_model

NEAR = 0.03
"""Relative error allowed: kernels may round activations to eight bits, as the peers' do."""
PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 33, 8)]


def first_device(offer: Backend) -> Device:
    """Where to run; a backend that finds no device here has nothing more to show."""
    found: list[Device] = load(offer.probe)()
    if not found:
        pytest.skip("it finds no device on this machine")
    return found[0]


def error(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative, over all logits."""
    return float((got.cpu() - expected).norm() / expected.norm())


def test_probing_is_quick_and_never_raises(offer: Backend) -> None:
    load(offer.probe)  # importing may take its time
    started = time.perf_counter()
    found = load(offer.probe)()
    seconds = time.perf_counter() - started
    assert isinstance(found, list)
    assert seconds < 2, f"it took {seconds:.1f} s; `doctor` and every start wait for it"


def test_devices_are_described(offer: Backend) -> None:
    found = load(offer.probe)()
    for device in found:
        assert isinstance(device, Device)
        own = device.name.partition(":")[0]
        assert own in (offer.name, *offer.aliases), f"--device {device.name} finds another backend"
        assert device.label
        assert device.memory_total > 0
        assert 0 <= device.memory_free <= device.memory_total
        assert device.dtype in ("float32", "bfloat16", "float16")
    assert len({device.name for device in found}) == len(found), "two devices have one name"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_near_the_reference(offer: Backend, layout: str) -> None:
    device = first_device(offer)
    expected = [whole(tiny_model(layout), prompt) for prompt in PROMPTS]
    model = tiny_model(layout)
    chosen = load(offer.prepare)(model, device, 1, "auto")
    assert isinstance(chosen, Mapping), f"prepare returned {type(chosen).__name__}"
    where = torch.device(device.torch_device)
    for prompt, logits in zip(PROMPTS, expected, strict=True):
        assert error(whole(model, prompt, where), logits) < NEAR
    for got, logits in zip(together(model, PROMPTS, where), expected, strict=True):
        assert error(got, logits) < NEAR, "in a batch"
    one_by_one = in_pieces(model, PROMPTS[1], [20, *[1] * 13], where)
    assert error(one_by_one, expected[1]) < NEAR, "one token at a time"


def test_a_run_repeated_gives_the_same_bits(offer: Backend) -> None:
    device = first_device(offer)
    where = torch.device(device.torch_device)
    model = tiny_model("affine4")
    load(offer.prepare)(model, device, 2, "auto")
    first = whole(model, PROMPTS[1], where)
    assert torch.equal(whole(model, PROMPTS[1], where), first)
