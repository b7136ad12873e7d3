"""The kernels as graphics devices get them, with many lanes and local memory, on this device."""

from __future__ import annotations

import pytest
import torch
from tramontane.backend import Device
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole
from tramontane.testing.random_model import random_model
from tramontane.testing.rounding import relative
from tramontane_backend_opencl.kernel_call import GRAPHICS, Sizes
from tramontane_backend_opencl.memory import OpenclDevice
from tramontane_backend_opencl.prepare import prepare

from . import check_attention, check_products
from .conftest import FULL

PROMPT = [(7 * i + 3) % 50 for i in range(30)]


@pytest.fixture(autouse=True, params=[GRAPHICS, Sizes(8, 2, 4, 64)] if FULL else [GRAPHICS])
def _sizes(
    device: OpenclDevice, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(device, "sizes", request.param)


@pytest.mark.parametrize(
    "case", [(4, 32, 1, "zero"), (5, 32, 2, "minimum")] if FULL else [(5, 32, 2, "minimum")]
)
def test_products(device: OpenclDevice, case: tuple[int, int, int, str]) -> None:
    for tokens in (1, 35):
        check_products.check(check_products.affine(*case, (33, 768)), device, tokens)


def test_columns_that_are_no_whole_unit(device: OpenclDevice) -> None:
    check_products.check(check_products.Dense(torch.randn(5, 37)), device, 5)


def test_a_row_has_the_same_bits_in_any_company(device: OpenclDevice) -> None:
    check_products.test_a_row_has_the_same_bits_in_any_company(device, (4, 32, 1, "zero"))


def test_attention(device: OpenclDevice, where: torch.device) -> None:
    check_attention.compare(device, where, "sinks", torch.float16)
    check_attention.test_a_token_has_the_same_bits_in_any_company(device, where, "sinks")


def test_a_model(described: Device, where: torch.device) -> None:
    """With norms of heads, a mixture, and rows of a table."""
    offer = Registry().get(Architecture, "Qwen3MoeForCausalLM")
    model, plain = random_model(offer), random_model(offer)
    prepare(model, described, None)
    at_once = whole(model, PROMPT, where).cpu()
    assert relative(at_once, whole(plain, PROMPT)) < 1e-5
    assert torch.equal(in_pieces(model, PROMPT, [20, *[1] * 10], where), at_once)
