"""Put kernels on a model's blocks: what OpenCL and Metal do alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    CrossAttention,
    Embedding,
    Experts,
    LatentAttention,
    Linear,
    StackedLinear,
)
from tramontane.layouts import Layout

from .attention import Attend
from .blocks import attended, gate_and_up, linears_of, mixture, normalized
from .kernel_call import Kernels
from .merging import together
from .operand import has_kernel
from .products import Multiply

WEIGHTED = (Linear, Embedding, StackedLinear)


def moved(weight: Layout, torch_device: str) -> Layout:
    """The same layout, contiguous, on a device."""
    return weight.map(lambda tensor: tensor.to(torch_device).contiguous())


def move(model: CausalLM, where: str) -> None:
    """Put every weight on the device, tied ones once."""
    model.to(where)
    made: dict[int, tuple[Layout, Layout]] = {}  # with what it was, or its id might come again
    for module in weighted(model):
        weight: Layout = module.weight
        if id(weight) not in made:
            made[id(weight)] = weight, moved(weight, where)
        module.weight = made[id(weight)][1]


def weighted(model: CausalLM) -> list[Any]:
    """The modules that have a layout."""
    return [module for module in model.modules() if isinstance(module, WEIGHTED)]


def put_kernels(model: CausalLM, kernels: Kernels, name: str) -> dict[str, str]:
    """Kernels for every block that has one; returns what was put where. name: in that report."""
    chosen: dict[str, str] = {}
    attend = Attend(kernels)
    inside = list(model.modules())
    for module in inside:
        if isinstance(module, WEIGHTED):
            known = has_kernel(module.weight)
            what = f"{_named(module)} {module.weight.kind}"
            chosen[what] = name if known else "torch, decoded"
            if known:
                _put(module, Multiply(kernels))
        elif isinstance(module, (Attention, CrossAttention)):
            module.kernel = attend
            if isinstance(module, Attention):
                module.mutual, chosen["attention"] = True, name
        elif isinstance(module, LatentAttention):
            module.kernel, chosen["attention"] = attend.latents, name
        elif type(module) is Experts:
            module.forward = mixture(module, kernels)  # type: ignore[method-assign,assignment]
        else:
            forward = normalized(module, kernels)
            if forward is not None:
                _replace(module, forward)
                chosen["norm"] = name
    ids = {id(module) for module in inside}
    for module in inside:
        linears = linears_of(module)
        if not linears or not all(id(each) in ids for each in linears):
            continue
        joined = _joined(module, linears, kernels)
        if joined is not None:
            _replace(module, joined)
    return chosen


def _joined(module: nn.Module, linears: list[Any], kernels: Kernels) -> Callable[..., Any] | None:
    """A forward with fewer kernels, if there is one; then the matrices are put together."""
    use: Any = attended if isinstance(module, Attention) else gate_and_up
    if use(module, _UNUSED, kernels) is None:
        return None
    joint = together(linears)
    forward: Callable[..., Any] | None = None if joint is None else use(module, joint, kernels)
    return forward


class _Unused:
    """Stands for matrices that are not put together yet."""


_UNUSED: Any = _Unused()


def _put(module: Any, multiply: Any) -> None:
    if isinstance(module, Embedding):
        module.kernel = multiply.embed
    elif isinstance(module, StackedLinear):
        module.kernel = multiply.grouped
    else:
        module.kernel = multiply


def _replace(module: Any, forward: Any) -> None:
    module.forward = forward


def _named(module: Any) -> str:
    if isinstance(module, StackedLinear):
        return "experts"
    return "embedding" if isinstance(module, Embedding) else "linear"
