"""What is done to each vector alone, against torch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from tramontane.blocks import CausalLM, LayerNorm
from tramontane.testing.forward_passes import whole
from tramontane.testing.tiny_model import tiny_model
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare

TOKENS = [(7 * i + 3) % 320 for i in range(20)]
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "clamp": lambda x: x.clamp(-0.4, 0.4),
    "at_least": lambda x: x.clamp(min=-0.4),
    "at_most": lambda x: x.clamp(max=0.4),
    "both": lambda x: x.clamp(-0.4, 0.3),
    "silu": F.silu,
}


def compare(bend: Callable[[CausalLM], None]) -> None:
    """A model with something else in it, recorded and as torch computes it."""
    models = [tiny_model("float32"), tiny_model("float32")]
    for model in models:
        bend(model)
    assert prepare(models[0], probe()[0], 2, "f32")["step"] == "recorded"
    torch.testing.assert_close(
        whole(models[0], TOKENS), whole(models[1], TOKENS), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("spread", [0.3, 4.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, spread: float) -> None:
    def bend(model: CausalLM) -> None:
        for layer in model.model.layers:
            layer.mlp.act = lambda x: FUNCTIONS[name](x * spread)  # type: ignore[union-attr]

    compare(bend)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("far", [0.0, 30.0])
def test_layer_norm(bias: bool, far: float) -> None:
    def bend(model: CausalLM) -> None:
        torch.manual_seed(3)
        norm = LayerNorm(256, 1e-5, bias=bias)
        for parameter in norm.parameters():
            parameter.data.normal_()
        model.model.norm = norm
        logits = model.logits
        model.logits = lambda x: logits(norm(x + far))  # type: ignore[method-assign]

    compare(bend)


@pytest.mark.parametrize("width", [15, 40])
def test_layer_norm_of_heads_of_any_width(width: int) -> None:
    from tramontane_backend_cpu.kernels import rows
    from tramontane_backend_cpu.step.memory import address
    from tramontane_backend_cpu.step.products import arguments

    torch.manual_seed(1)
    x = torch.randn(5, 3, width) * 3 + 2
    norm = LayerNorm(width, 1e-5)
    norm.weight.data.normal_()
    norm.bias.data.normal_()  # type: ignore[union-attr]
    room = torch.empty(16)
    told = torch.cat((norm.weight, room)), torch.cat((norm.bias, room))  # type: ignore[arg-type]
    out, eps = torch.empty_like(x), torch.tensor([1e-5])
    stride = 4 * 3 * width
    fields = arguments(
        rows.LAYER_NORM_FIELDS, x=x.data_ptr(), x_stride=stride, out=out.data_ptr(),
        out_stride=stride, parts=3, width=width, weight=told[0].data_ptr(), weight_step=0,
        eps=eps.data_ptr(), bias=told[1].data_ptr(),
    )  # fmt: skip
    rows.layer_norm.ctypes(address(fields), 0, 5)
    torch.testing.assert_close(out, norm(x), rtol=1e-5, atol=1e-5)
