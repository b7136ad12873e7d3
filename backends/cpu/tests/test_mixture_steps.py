"""Models with experts, recorded: what the blocks make, and the same bits whoever else is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    BiasedRouter,
    CausalLM,
    ClampedSwiGLU,
    Experts,
    GatedMLP,
    GroupedRouter,
    Linear,
    Router,
    SparseMoE,
    WeighedInputMoE,
)
from tramontane.config import DecoderConfig, read_config
from tramontane.testing.forward_passes import in_pieces, together, whole
from tramontane.testing.tiny_model import LAYOUTS, TINY, tiny_model
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare

from .matrices import OF_EXPERTS

COUNT, K, HIDDEN, WIDE = 6, 2, 256, 256
ROUTERS: dict[str, Callable[[], Router]] = {
    "softmax": lambda: Router(HIDDEN, COUNT, K, normalize=True),
    "unnormalized": lambda: Router(HIDDEN, COUNT, 3, normalize=False, scale=1.5),
    "grouped": lambda: GroupedRouter(HIDDEN, COUNT, K, groups=(3, 2), normalize=False),
    "with a bias": lambda: Router(HIDDEN, COUNT, K, normalize=True, bias=True),
    "one": lambda: Router(HIDDEN, COUNT, 1, normalize=True),
    "biased": lambda: BiasedRouter(HIDDEN, COUNT, K, groups=(2, 1), normalize=True, scale=2.5),
}
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
SOME = OF_EXPERTS if FULL else ["float32", "affine4-two-level", "codebook4"]
"""Each layout has kernels of its own, which a few minutes of compiling do for every router."""
CLAMPED = ClampedSwiGLU(0.2, 1.702, 1.0)
PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 2, 33, 300, 8)]


class Share(GatedMLP):
    """For every token, times a number of its own."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__(cfg)
        self.gate = Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(x).double()).to(x.dtype) * super().forward(x)


def sparse(
    layout: str,
    router: str = "softmax",
    act: str = "silu",
    shared: type[GatedMLP] | None = None,
    glu: ClampedSwiGLU | None = None,
    bias: bool = False,
    mixture: type[SparseMoE] = SparseMoE,
    gated: bool = True,
) -> CausalLM:
    """A tiny model whose feed-forward halves are experts, with the same weights each time."""
    model = tiny_model(layout)
    config = read_config(DecoderConfig, TINY.example)
    torch.manual_seed(8)
    for layer in model.model.layers:
        experts = Experts(
            config, COUNT, WIDE, act=ACTIVATIONS[act], glu=glu, bias=bias, gated=gated
        )
        for part in experts.matrices:
            part.weight = LAYOUTS[layout](torch.randn(part.weight.shape) / 16)
            if part.bias is not None:
                part.bias.data = torch.randn(part.bias.shape) / 4
        gate = ROUTERS[router]()
        gate.weight = LAYOUTS[layout](torch.randn(COUNT, HIDDEN) / 16)
        if gate.bias is not None:
            gate.bias.data = torch.randn(COUNT)
        if isinstance(gate, BiasedRouter):
            gate.balance.data = torch.randn(COUNT) / 8
        every = None if shared is None else shared(config)
        for part in () if every is None else every.modules():
            if isinstance(part, Linear):
                kind = "float32" if part.weight.shape[0] == 1 else layout
                part.weight = LAYOUTS[kind](torch.randn(part.weight.shape) / 16)
        layer.mlp = mixture(gate, experts, every)
    return model


def prepared(model: CausalLM, threads: int = 2, activations: str = "f32") -> CausalLM:
    assert prepare(model, probe()[0], threads, activations)["step"] == "recorded"
    return model


def compare(model: CausalLM, reference: CausalLM, bound: float = 1e-3) -> None:
    for prompt in PROMPTS:
        got, expected = whole(model, prompt), whole(reference, prompt)
        assert float((got - expected).norm() / expected.norm()) < bound


@pytest.mark.parametrize(
    ("router", "layout"),
    [
        (router, layout)
        for router in ROUTERS
        for layout in (OF_EXPERTS if router == "softmax" else SOME)
    ],
)
def test_recorded_as_the_blocks(router: str, layout: str) -> None:
    compare(prepared(sparse(layout, router)), sparse(layout, router))


@pytest.mark.parametrize("layout", SOME)
def test_weighed_input(layout: str) -> None:
    told = (layout, "one", "silu", GatedMLP, None, False, WeighedInputMoE)
    compare(prepared(sparse(*told)), sparse(*told))
    without = whole(sparse(*told[:-1]), PROMPTS[2])
    assert not torch.allclose(whole(sparse(*told), PROMPTS[2]), without, atol=1e-3)


@pytest.mark.parametrize("act", ["relu", "relu2", "gelu", "gelu_pytorch_tanh"])
def test_other_activations(act: str) -> None:
    compare(prepared(sparse("affine8", act=act)), sparse("affine8", act=act))


@pytest.mark.parametrize("layout", SOME)
@pytest.mark.parametrize("bias", [False, True])
def test_without_a_gate(bias: bool, layout: str) -> None:
    made, reference = (sparse(layout, "biased", "relu2", bias=bias, gated=False) for _ in range(2))
    compare(prepared(made), reference)


@pytest.mark.parametrize("layout", ["float32", "affine4"])
@pytest.mark.parametrize("glu", [None, CLAMPED])
def test_biases_and_clamped_gates(glu: ClampedSwiGLU | None, layout: str) -> None:
    made, reference = (sparse(layout, glu=glu, bias=True) for _ in range(2))
    compare(prepared(made), reference)


@pytest.mark.parametrize("shared", [GatedMLP, Share])
def test_an_expert_for_every_token(shared: type[GatedMLP]) -> None:
    compare(prepared(sparse("affine4", shared=shared)), sparse("affine4", shared=shared))


@pytest.mark.parametrize(
    ("layout", "activations", "gated"),
    [(name, how, gated) for gated in (True, False) for name in SOME for how in ("auto", "f32")],
)
def test_the_same_bits_whoever_else_is_there(layout: str, activations: str, gated: bool) -> None:
    how: dict[str, Any] = {"glu": CLAMPED} if gated else {"act": "relu2", "gated": False}
    models = (sparse(layout, bias=True, **how) for _ in range(2))
    one, many = (
        prepared(model, threads, activations) for model, threads in zip(models, (1, 3), strict=True)
    )
    alone = [whole(one, prompt) for prompt in PROMPTS]
    # one by one, a few at a time, and all of a prompt
    pieces = [[1] * len(prompt) if len(prompt) < 40 else [3, 4, 65, 228] for prompt in PROMPTS]
    cut = [in_pieces(many, *pair) for pair in zip(PROMPTS, pieces, strict=True)]
    for some in (together(one, PROMPTS), together(many, PROMPTS), cut):
        for got, expected in zip(some, alone, strict=True):
            assert torch.equal(got, expected)


class Chooser(Router):
    def choose(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, chosen = super().choose(-scores)
        return weights, chosen


def own_router(block: SparseMoE) -> nn.Module:
    gate = Chooser(HIDDEN, COUNT, K, normalize=True)
    gate.weight = block.gate.weight
    return SparseMoE(gate, block.experts)


def own_activation(block: SparseMoE) -> nn.Module:
    block.experts.act = lambda x: F.silu(x) * 2
    return block


class Twice(SparseMoE):
    """Two rounds with what one router has chosen."""

    def forward(self, x: Tensor) -> Tensor:
        routed = self.gate(x)
        return self.experts(self.experts(x, *routed), *routed)


@pytest.mark.parametrize(
    ("bend", "why"),
    [
        (own_router, "Chooser"),
        (own_activation, "activation of their own"),
        (lambda block: Twice(block.gate, block.experts), "no router of their own"),
    ],
)
def test_what_has_no_kernel_runs_as_it_is_written(
    bend: Callable[[SparseMoE], nn.Module], why: str
) -> None:
    model, reference = sparse("affine4"), sparse("affine4")
    for each in (model, reference):
        for layer in each.model.layers:
            layer.mlp = bend(layer.mlp)  # type: ignore[arg-type]
    step = prepare(model, probe()[0], 2, "f32")["step"]
    assert step.startswith("eager: ")
    assert why in step
    compare(model, reference)
