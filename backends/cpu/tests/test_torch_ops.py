"""Every torch operation of the recorded step's table against torch, and the same bits in pieces."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.backend import eager_reason
from tramontane.blocks import CausalLM, HeadNorm
from tramontane.testing.forward_passes import in_pieces, whole
from tramontane.testing.random_model import random_model
from tramontane.testing.tiny_model import TINY
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare
from tramontane_backend_cpu.step.torch_ops import OPERATIONS, with_table

HEADS, WIDTH = 3, 20
SMALL = replace(TINY, example={
    "vocab_size": 64, "hidden_size": HEADS * WIDTH, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
})  # fmt: skip
TOKENS = [(7 * i + 3) % 64 for i in range(21)]
WEIGHT = torch.linspace(0.5, 1.5, WIDTH)
BY_HEAD = torch.linspace(0.5, 1.5, HEADS * WIDTH).view(HEADS, WIDTH)
OWN: dict[str, Callable[[Tensor], Tensor]] = {
    "rms norm by hand": lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5),
    "layer norm by hand": lambda x: (
        (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    ),
    "F.rms_norm with a weight": lambda x: WEIGHT * F.rms_norm(x, (WIDTH,), None, 1e-5),
    "F.layer_norm": lambda x: F.layer_norm(x, (WIDTH,), WEIGHT, WEIGHT - 1, 1e-5),
    "a weight for each head": lambda x: x * BY_HEAD + BY_HEAD,
    "softmax": lambda x: (4 * x).softmax(-1),
    "shares": lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
    "the largest": lambda x: x - x.amax(-1, keepdim=True),
    "one number per head": lambda x: x + x.sum(-1)[..., None] - x.var(-1).unsqueeze(-1),
    "beside each other": lambda x: torch.cat(
        (x.flatten(1)[:, 7:], x.flatten(1)[:, :4], x.flatten(1)[:, 4:7]), 1
    ).view(x.shape),
    "columns of each head": lambda x: (
        x * x[..., 3:4] - x.split([7, WIDTH - 7], -1)[1].amax(-1, True)
    ),
    "signs": lambda x: (1 - x) * -x * (x.square() + 1) ** -0.5,
}


class Own(nn.Module):
    """An author's own part."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def pair(part: nn.Module) -> tuple[CausalLM, CausalLM, str]:
    """A model with a part in its attention, prepared and as torch computes it."""
    models = random_model(SMALL), random_model(SMALL)
    for model in models:
        model.model.layers[0].self_attn.q_norm = part  # type: ignore[union-attr]
    return *models, prepare(models[0], probe()[0], 2, "f32")["step"]


def equal(recorded: CausalLM, reference: CausalLM) -> None:
    got = whole(recorded, TOKENS)
    torch.testing.assert_close(got, whole(reference, TOKENS), rtol=2e-5, atol=2e-5)
    assert torch.equal(in_pieces(recorded, TOKENS, [5, 1, 1, 14]), got)


@pytest.mark.parametrize("name", OWN)
def test_arithmetic_between_blocks_is_recorded(name: str) -> None:
    recorded, reference, step = pair(Own(OWN[name]))
    assert step == "recorded"
    equal(recorded, reference)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("heads", [None, HEADS])
def test_norms_of_heads_are_recorded(heads: int | None, center: bool) -> None:
    torch.manual_seed(2)
    norm = HeadNorm(WIDTH, 1e-5, heads=heads, center=center, bias=center)
    for parameter in norm.parameters():
        parameter.data.normal_()
    recorded, reference, step = pair(norm)
    assert step == "recorded"
    equal(recorded, reference)


WITHOUT: dict[str, Callable[[Tensor], Tensor]] = {
    "aten.cumsum.default": lambda x: x.cumsum(-1),
    "aten.cat.default": lambda x: torch.cat((x[..., 1:], x[..., :1]), -1),
    "aten.slice.Tensor of (3, 3, 20)": lambda x: x - x[..., ::2].sum(-1, keepdim=True),
    "aten.mean.dim over dimensions [0]": lambda x: x - x.mean(0),
    "aten.mean.dim over dimensions [1]": lambda x: x - x.mean(1, keepdim=True),
    "aten.pow.Tensor_Scalar with the exponent 3": lambda x: x**3,
    "aten.mul.Tensor of ('tokens', 3, 20) and (3, 1, 1)": lambda x: (
        x * torch.linspace(1, 2, 21)[: len(x), None, None]
    ),
}


@pytest.mark.parametrize("operation", WITHOUT)
def test_what_has_no_kernel_is_named_with_its_module(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tramontane_backend_cpu"):
        _, _, step = pair(Own(WITHOUT[operation]))
    why = eager_reason({"step": step})
    assert why is not None
    if operation != "aten.cat.default":  # the slices in front of it are met first
        assert why.startswith(operation)
    assert why.endswith("in model.layers.0.self_attn.q_norm (Own)")
    (line,) = caplog.messages
    assert why in line
    assert "docs/writing-an-architecture.md" in line


def test_a_recorded_step_has_no_reason() -> None:
    assert eager_reason({"step": "recorded"}) is None
    assert eager_reason({}) is None


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs/writing-an-architecture.md").read_text("utf-8")
    run = "run: python -m tramontane_backend_cpu.step.torch_ops docs/writing-an-architecture.md"
    assert all(line.written in page for line in OPERATIONS), run
    assert with_table(page) == page, run
