"""What only a Mac can show. Skips elsewhere, with the reason."""

from __future__ import annotations

import pytest
import torch
from tramontane import reference
from tramontane.backend import Device
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole
from tramontane.testing.random_model import random_model
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import LAYOUTS
from tramontane_backend_metal.device import probe
from tramontane_backend_metal.explain import explain
from tramontane_backend_metal.prepare import prepare
from tramontane_backend_metal.shaders import MetalKernels
from tramontane_backend_opencl.products import Multiply
from tramontane_backend_opencl.put_kernels import moved

pytestmark = pytest.mark.gpu
PROMPT = [(7 * i + 3) % 50 for i in range(30)]


@pytest.fixture
def mac() -> Device:
    found = probe()
    if not found or not torch.backends.mps.is_available():
        pytest.skip(f"no Metal here: {explain()[0].message}")
    return found[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products(mac: Device, layout: str) -> None:
    weight = LAYOUTS[layout](torch.randn(300, 4096))
    there, x = moved(weight, mac.torch_device), torch.randn(40, 4096)
    multiply = Multiply(MetalKernels())
    together = multiply(x.to(mac.torch_device), there).cpu()
    assert relative(together, reference.linear(x, weight)) < 1e-5
    for first, count in ((0, 1), (5, 7), (20, 16)):
        own = multiply(x[first : first + count].to(mac.torch_device), there).cpu()
        assert torch.equal(own, together[first : first + count])


@pytest.mark.parametrize(
    "name", ["LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM", "Qwen3MoeForCausalLM"]
)
def test_families(mac: Device, name: str) -> None:
    offer, where = Registry().get(Architecture, name), torch.device(mac.torch_device)
    model, plain = random_model(offer), random_model(offer)
    prepare(model, mac, None)
    at_once = whole(model, PROMPT, where).cpu()
    assert relative(at_once, whole(plain, PROMPT)) < 1e-5
    assert torch.equal(in_pieces(model, PROMPT, [20, *[1] * 10], where, stepped=True), at_once)
