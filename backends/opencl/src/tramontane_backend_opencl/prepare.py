"""Make a model fast on an OpenCL device: move it there, and put kernels on its blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from tramontane import reference
from tramontane.backend import STEP, Device
from tramontane.blocks import CausalLM
from tramontane.layouts import Layout
from tramontane.layouts.low_rank import LowRank

from .memory import opened
from .products import multiply_any
from .put_kernels import move, moved, put_kernels
from .torch_device import set_up

set_up()  # the name of torch's device is asked for as soon as this is imported
NAME = "opencl"


def pack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """A matrix on the device, as it was read. Implements `backend.Pack`."""
    return moved(weight, device.torch_device)


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`."""
    if threads is not None:
        torch.set_num_threads(threads)
    move(model, device.torch_device)
    kernels = opened(torch.device(device.torch_device).index)
    return {**put_kernels(model, kernels, NAME), STEP: "kernel by kernel"}


def multiply(threads: int | None) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products for adapters, of which a row's bits do not depend on others. Implements
    `plugin.Backend.multiply`."""

    def product(x: Tensor, weight: Layout | LowRank) -> Tensor:
        if x.device.type == "cpu":
            return reference.linear(x, weight)  # type: ignore[arg-type]
        return multiply_any(opened(x.device.index))(x, weight)

    return product
