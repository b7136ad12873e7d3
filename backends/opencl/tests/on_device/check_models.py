"""Whole models against the reference, their bits in company; kernels counted, memory, faults."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import pyopencl as cl
import pytest
import torch
from tramontane.backend import Device, DeviceLost
from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.device_errors import failure_of
from tramontane.engine.kv_cache import KVCache
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, together, whole
from tramontane.testing.random_model import random_model
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import tiny_model
from tramontane.testing.tiny_variants import VARIANTS
from tramontane_backend_opencl import tensor
from tramontane_backend_opencl.memory import OpenclDevice, errors
from tramontane_backend_opencl.prepare import prepare

from .conftest import FULL

FAMILIES = (
    "LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM", "Qwen3MoeForCausalLM",
    "Lfm2ForCausalLM",
)  # fmt: skip
MORE = (
    "MixtralForCausalLM", "JambaForCausalLM", "Qwen3NextForCausalLM", "DeepseekV3ForCausalLM",
    "GptOssForCausalLM", "MambaForCausalLM", "Rwkv7ForCausalLM", "Qwen2ForCausalLM",
    "FalconForCausalLM", "Cohere2ForCausalLM",
)  # fmt: skip
BITS_OF_PIECES = "Qwen3NextForCausalLM"
"""Its recurrent layers take prompts in pieces by other sums, on the reference too."""
PROMPT = [(7 * i + 3) % 50 for i in range(30)]
MOST = 12
"""Kernels of a layer, for a token."""


@pytest.mark.parametrize("name", (*FAMILIES, *MORE) if FULL else FAMILIES)
def test_families(described: Device, where: torch.device, name: str) -> None:
    """Logits of prompts at once, cut up and in company: right, and the same bits."""
    offer = Registry().get(Architecture, name)
    model, plain = random_model(offer), random_model(offer)
    prepare(model, described, None)
    at_once = whole(model, PROMPT, where).cpu()
    assert relative(at_once, whole(plain, PROMPT)) < 1e-5
    others = [PROMPT[:9], PROMPT, PROMPT[3:20]]
    assert torch.equal(together(model, others, where)[1].cpu(), at_once)
    if name != BITS_OF_PIECES:
        pieces = in_pieces(model, PROMPT, [20, *[1] * 10], where, stepped=True)
        assert torch.equal(pieces, at_once)


@pytest.mark.parametrize("variant", VARIANTS if FULL else ["window", "biased experts"])
def test_variants(described: Device, where: torch.device, variant: str) -> None:
    model, plain = (tiny_model("affine4", VARIANTS[variant]) for _ in range(2))
    prepare(model, described, None)
    prompt = [(7 * i + 3) % 320 for i in range(40)]
    assert relative(whole(model, prompt, where), whole(plain, prompt)) < 1e-5


def test_another_type_of_activations(described: Device, where: torch.device) -> None:
    plain = tiny_model("affine4")
    model = tiny_model("affine4").to(torch.float16)
    model.model.embed_tokens.dtype = torch.float16
    prepare(model, described, None)
    got = whole(model, PROMPT, where, torch.float16)
    assert relative(got.float(), whole(plain, PROMPT)) < 5e-3


class Answers:
    """A sequence that generates greedily in a cache of its own."""

    def __init__(self, model: CausalLM, where: torch.device, prompt: Sequence[int]) -> None:
        self.model, self.tokens = model, list(prompt)
        self.cache = KVCache(model, 8, torch.float32, where)
        self.held = self.cache.take(8)
        self.step(len(prompt))

    def step(self, count: int) -> Any:
        first = len(self.tokens) - count
        piece = (first, count, len(self.tokens), self.held, [count - 1])
        logits = self.model.step(self.tokens[first:], Batch.of([piece], self.cache))
        self.tokens.append(int(logits.argmax(-1)[0]))
        return logits


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "Qwen3ForCausalLM"])
def test_kernels_a_token(
    described: Device, device: OpenclDevice, where: torch.device, name: str
) -> None:
    """Whole layers stay on the device, with few kernels: 11, or 12 where a context has splits."""
    model = random_model(Registry().get(Architecture, name))
    prepare(model, described, None)
    answers = Answers(model, where, PROMPT[:5])
    answers.step(1)
    layers, per = list(model.model.layers), []

    def counted(forward: Any) -> Any:
        def call(*args: Any) -> Any:
            before = device.launches
            out = forward(*args)
            per.append(device.launches - before)
            return out

        return call

    for layer in layers:
        layer.forward = counted(layer.forward)
    answers.step(1)
    assert len(per) == len(layers)
    assert max(per) <= MOST - 1, per


def test_nothing_of_a_layer_runs_on_the_processor(
    described: Device, where: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(Registry().get(Architecture, "LlamaForCausalLM"))
    prepare(model, described, None)
    seen: list[str] = []
    own = tensor.on_host

    def watched(func: Any, args: Any, kwargs: Any) -> Any:
        seen.append(str(func))
        return own(func, args, kwargs)

    monkeypatch.setattr(tensor, "on_host", watched)
    Answers(model, where, PROMPT[:5]).step(1)
    assert not [name for name in seen if not name.startswith("aten.detach")]


def test_memory_is_flat_after_many_requests(
    described: Device, device: OpenclDevice, where: torch.device
) -> None:
    model = random_model(Registry().get(Architecture, "LlamaForCausalLM"))
    prepare(model, described, None)
    sizes = []
    for _ in range(4):
        for request in range(250 if FULL else 25):
            Answers(model, where, PROMPT[: 1 + request % 20]).step(1)
        gc.collect()  # a cache and its pool know each other
        sizes.append(device.used)
    assert len(set(sizes)) == 1, sizes


def test_a_full_device_says_how_much_was_asked_for(where: torch.device) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="out of memory") as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device=where)
    assert str(1 << 50) in str(caught.value)
    assert failure_of(caught.value) == "memory"


@pytest.mark.parametrize(
    ("code", "kind", "means"),
    [
        ("MEM_OBJECT_ALLOCATION_FAILURE", torch.OutOfMemoryError, "memory"),
        ("OUT_OF_RESOURCES", DeviceLost, "lost"),
        ("DEVICE_NOT_AVAILABLE", DeviceLost, "lost"),
        ("INVALID_KERNEL_ARGS", RuntimeError, None),
    ],
)
def test_errors_of_drivers(code: str, kind: type[Exception], means: str | None) -> None:
    with pytest.raises(kind, match=code) as caught, errors("OpenCL device X"):
        raise cl.RuntimeError(f"clEnqueueNDRangeKernel failed: {code}")
    assert failure_of(caught.value) == means
    assert "OpenCL device X" in str(caught.value)


def test_a_lost_device_is_named(
    described: Device, device: OpenclDevice, where: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the engine meets it: in the middle of a step."""
    model = random_model(Registry().get(Architecture, "LlamaForCausalLM"))
    prepare(model, described, None)
    answers = Answers(model, where, PROMPT[:5])

    def refuses(*_: Any) -> None:
        raise cl.RuntimeError("clEnqueueNDRangeKernel failed: DEVICE_NOT_AVAILABLE")

    for key in list(device._made):
        monkeypatch.setitem(device._made, key, refuses)
    with pytest.raises(DeviceLost, match="does not answer any more"):
        answers.step(1)
