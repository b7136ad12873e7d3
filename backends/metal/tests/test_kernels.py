"""The kernels as Metal gets them, read and run by a C++ compiler, and the host's code, on a
stand-in for torch.mps."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.blocks import Attention
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole
from tramontane.testing.random_model import random_model
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import LAYOUTS, tiny_model
from tramontane.testing.tiny_variants import VARIANTS
from tramontane_backend_metal.shaders import MetalKernels
from tramontane_backend_opencl.kernel_call import GRAPHICS, PROCESSOR
from tramontane_backend_opencl.products import Multiply
from tramontane_backend_opencl.put_kernels import put_kernels

from .fake_mps import FakeMps, check, compiler

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
KINDS = LAYOUTS if FULL else (
    "bfloat16", "float16", "affine5-minimum", "affine4-two-level", "affine4-permuted",
    "affine4-row-groups", "codebook3",
)  # fmt: skip
FAMILIES = ("Qwen3MoeForCausalLM", "Gemma2ForCausalLM")
MORE = ("LlamaForCausalLM", "Lfm2ForCausalLM", "DeepseekV3ForCausalLM", "GptOssForCausalLM")
PROMPT = [(7 * i + 3) % 50 for i in range(20)]
KV_TYPES = (torch.float16, torch.int8, torch.float8_e4m3fn)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> FakeMps:
    if compiler() is None:
        pytest.skip("there is no g++ to read Metal's source with")
    return FakeMps(tmp_path_factory.mktemp("shaders"))


@pytest.fixture
def kernels(fake: FakeMps, monkeypatch: pytest.MonkeyPatch) -> MetalKernels:
    monkeypatch.setattr(torch.mps, "compile_shader", fake.compile_shader)
    return MetalKernels(PROCESSOR)


@pytest.mark.parametrize("layout", KINDS)
def test_products(kernels: MetalKernels, layout: str) -> None:
    weight = LAYOUTS[layout](torch.randn(33, 768, generator=torch.Generator().manual_seed(1)))
    multiply = Multiply(kernels)
    x = torch.randn(9, 768)
    together = multiply(x, weight)
    assert relative(together, reference.linear(x, weight)) < 1e-5
    assert torch.equal(multiply(x[4:5], weight)[0], together[4]), "a row's bits depend on others"
    ids = torch.tensor([3, 0, 32, 3])
    expected = reference.embedding(ids, weight, torch.float16)
    torch.testing.assert_close(multiply.embed(ids, weight, torch.float16), expected)


@pytest.mark.parametrize("name", (*FAMILIES, *MORE) if FULL else FAMILIES)
def test_families(kernels: MetalKernels, name: str) -> None:
    offer = Registry().get(Architecture, name)
    model, plain = random_model(offer), random_model(offer)
    report = put_kernels(model, kernels, "metal")
    assert "metal" in report.values()
    at_once = whole(model, PROMPT)
    assert relative(at_once, whole(plain, PROMPT)) < 1e-5
    assert torch.equal(in_pieces(model, PROMPT, [12, *[1] * 8]), at_once)
    assert kernels.launches


@pytest.mark.parametrize("variant", VARIANTS if FULL else ["sinks"])
@pytest.mark.parametrize("kv_type", KV_TYPES, ids=str)
def test_caches(kernels: MetalKernels, variant: str, kv_type: torch.dtype) -> None:
    model, plain = (tiny_model("float32", VARIANTS[variant]) for _ in range(2))
    put_kernels(model, kernels, "metal")
    prompt = [(7 * i + 3) % 320 for i in range(40)]
    expected = whole(plain, prompt, kv_dtype=kv_type)
    # a number of the cache on the border between two codes may become either
    allowed = max(1e-5, relative(whole(plain, prompt), expected))
    assert relative(whole(model, prompt, kv_dtype=kv_type), expected) < allowed


def test_long_contexts_in_splits(kernels: MetalKernels) -> None:
    """One token of a context of two splits, which are groups of their own and then merged."""
    model, plain = (tiny_model("float32") for _ in range(2))
    put_kernels(model, kernels, "metal")
    for module in model.modules():
        if isinstance(module, Attention):
            module.kernel.split = 64  # type: ignore[attr-defined]
    prompt = [(7 * i + 3) % 320 for i in range(90)]
    results: list[Tensor] = []
    for each in (model, plain):
        cache = KVCache(each, 6, torch.float32, torch.device("cpu"))
        held = cache.take(6)
        for first, count in ((0, 89), (89, 1)):
            piece = (first, count, 90, held, [count - 1])
            batch = Batch.of([piece], cache)
            with torch.inference_mode():
                out = each(torch.tensor(prompt[first : first + count]), batch)
        results.append(out)
    assert relative(*results) < 1e-5


def test_the_error_function_is_made_from_a_series(kernels: MetalKernels) -> None:
    x = torch.linspace(-5, 5, 401)
    both, out = torch.stack((x, torch.ones_like(x))).flatten(), torch.empty_like(x)
    kernels.run("gated", (1, 1), (both, out, 401, 0.0, 0.0, 0.0), X=0, ACT=1, EACH=2048)
    torch.testing.assert_close(out, torch.nn.functional.gelu(x), rtol=1e-5, atol=2e-6)


class Recorder:
    """Notes what would be compiled for a Mac."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def compile_shader(self, source: str) -> Any:
        self.sources.append(source)
        return self

    def __getattr__(self, name: str) -> Any:
        def run(*arguments: Any, threads: list[int], group_size: list[int]) -> None:
            assert group_size == [GRAPHICS.lanes, 1, 1]
            assert threads[0] % GRAPHICS.lanes == 0
            assert len(arguments) <= 31, "Metal has 31 buffers"

        return run


def test_what_a_mac_compiles_is_read(fake: FakeMps, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 32 lanes and shared memory: words and types alone, as barriers cannot be run."""
    recorder = Recorder()
    monkeypatch.setattr(torch.mps, "compile_shader", recorder.compile_shader)
    model = random_model(Registry().get(Architecture, "Qwen3MoeForCausalLM"))
    put_kernels(model, MetalKernels(), "metal")
    whole(model, PROMPT)
    names = {line.split("(")[0].split()[-1] for source in recorder.sources
             for line in source.splitlines() if line.startswith("KERNEL")}  # fmt: skip
    assert names >= {"product", "attention", "heads", "norm", "combine", "table_rows"}
    for source in recorder.sources if FULL else recorder.sources[::3]:
        assert "error" not in check(source), check(source)
    broken = recorder.sources[0].replace("const float total", "const float5 total")
    assert "float5" in check(broken)
