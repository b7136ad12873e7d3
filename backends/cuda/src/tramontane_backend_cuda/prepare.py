"""Make a model fast on a card: move it there, and put kernels on its blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane import reference
from tramontane.backend import EAGER, STEP, Device
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
from tramontane.errors import ConfigError
from tramontane.layouts import Layout
from tramontane.layouts.low_rank import LowRank

from . import triton_here
from .card import OLDEST, Card, card_of
from .device import BFLOAT16

log = logging.getLogger(__name__)
GRAPHS = "TRAMONTANE_CUDA_GRAPHS"
"""The variable of the environment that switches recorded steps off, as 0."""
OWN, TORCH = "triton", "torch, decoded"


def pack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """A matrix on the card, as it was read. Implements `backend.Pack`."""
    return moved(weight, device.torch_device)


def moved(weight: Layout, torch_device: str) -> Layout:
    """The same layout, contiguous, on a device."""
    return weight.map(lambda tensor: tensor.to(torch_device).contiguous())


def has_kernels(card: Card) -> bool:
    """Whether Triton's kernels run on this card, or in the interpreter."""
    if not triton_here.installed():
        return False
    if not card.is_one:
        return card.interpreted
    return card.capability == (0, 0) or card.capability >= OLDEST


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`.

    Raises ConfigError for a type that the card does not compute in.
    """
    where = device.torch_device
    card = card_of(where)
    if threads is not None:
        torch.set_num_threads(threads)
    refuse_dtype(model, device, card)
    move(model, where)
    if not has_kernels(card):
        chosen = {f"{_named(m)} {m.weight.kind}": TORCH for m in _weighted(model)}
        chosen[STEP] = f"{EAGER}{why_not(device, card)}"
        return chosen
    chosen = put_kernels(model, card)
    if not hasattr(model, "step"):  # a model of other tasks than text
        return chosen
    if where.startswith("cuda") and os.environ.get(GRAPHS) != "0":
        from .cuda_graphs import CudaGraphs, in_background
        from .graphs import RecordedSteps

        steps = RecordedSteps(model, CudaGraphs(where), in_background)
        model.step = steps.step  # type: ignore[method-assign]
        chosen[STEP] = "recorded as CUDA graphs where each sequence has one token"
    else:
        chosen[STEP] = f"{EAGER}{why_not(device, card)}"
    return chosen


def refuse_dtype(model: CausalLM, device: Device, card: Card) -> None:
    """Raises ConfigError for bfloat16 on a card that has no instructions for it."""
    if card.capability == (0, 0) or card.capability >= BFLOAT16:
        return
    tables = [module for module in model.modules() if isinstance(module, Embedding)]
    if any(table.dtype == torch.bfloat16 for table in tables):
        raise ConfigError(
            f"{device.label} computes no bfloat16 (its compute capability is "
            f"{card.capability[0]}.{card.capability[1]}, and 8.0 is needed): --dtype f16 or f32"
        )


def why_not(device: Device, card: Card) -> str:
    """Why steps run operation by operation."""
    if not triton_here.installed():
        return "triton is not installed"
    if card.interpreted:
        return "this is Triton's interpreter"
    if has_kernels(card) and os.environ.get(GRAPHS) == "0":
        return f"{GRAPHS}=0"
    if device.torch_device.startswith("cuda"):
        return f"{device.label} is older than sm_{OLDEST[0]}{OLDEST[1]}"
    return f"steps on {device.torch_device} are not recorded"


def move(model: CausalLM, where: str) -> None:
    """Put every weight on the card, tied ones once."""
    model.to(where)
    made: dict[int, tuple[Layout, Layout]] = {}  # with what it was, or its id might come again
    for module in _weighted(model):
        weight: Layout = module.weight
        if id(weight) not in made:
            made[id(weight)] = weight, moved(weight, where)
        module.weight = made[id(weight)][1]


def put_kernels(model: CausalLM, card: Card) -> dict[str, str]:
    """Put Triton's kernels on blocks; returns what was put where."""
    from .attention import Attend
    from .experts import mixture
    from .operand import has_kernel
    from .products import Multiply

    chosen: dict[str, str] = {}
    attend = Attend(card)
    for module in model.modules():
        if isinstance(module, (Linear, Embedding, StackedLinear)):
            matrices = module.count if isinstance(module, StackedLinear) else 1
            known = has_kernel(module.weight, matrices)
            chosen[f"{_named(module)} {module.weight.kind}"] = OWN if known else TORCH
            if not known:
                continue
            multiply: Any = Multiply(card, matrices)
            if isinstance(module, Embedding):
                module.kernel = multiply.embed
            elif isinstance(module, StackedLinear):
                module.kernel = multiply.grouped
            else:
                module.kernel = multiply
        elif isinstance(module, Attention):
            module.kernel, module.mutual = attend, True
            chosen["attention"] = OWN
        elif isinstance(module, CrossAttention):
            module.kernel = attend
        elif isinstance(module, LatentAttention):
            module.kernel = attend.latents
            chosen["attention"] = OWN
        elif type(module) is Experts:
            module.forward = mixture(module)  # type: ignore[method-assign,assignment]
    return chosen


def multiply(threads: int | None) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products for adapters, of which a row's bits do not depend on others. Implements
    `plugin.Backend.multiply`."""

    def product(x: Tensor, weight: Layout | LowRank) -> Tensor:
        card = card_of(str(x.device))
        if has_kernels(card):
            from .products import multiply_any

            return multiply_any(card)(x, weight)
        if isinstance(weight, LowRank):
            return x @ weight.decode(x.dtype).T
        return reference.linear(x, weight)

    return product


def _weighted(model: CausalLM) -> list[Any]:
    kinds = (Linear, Embedding, StackedLinear)
    return [module for module in model.modules() if isinstance(module, kinds)]


def _named(module: Any) -> str:
    if isinstance(module, StackedLinear):
        return "experts"
    return "embedding" if isinstance(module, Embedding) else "linear"
