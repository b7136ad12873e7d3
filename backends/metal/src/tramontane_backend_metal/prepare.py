"""Make a model fast on Apple's graphics: move it there, and put the kernels on its blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from tramontane import reference
from tramontane.backend import STEP, Device
from tramontane.blocks import CausalLM
from tramontane.errors import ConfigError
from tramontane.layouts import Layout
from tramontane.layouts.low_rank import LowRank
from tramontane_backend_opencl.products import multiply_any
from tramontane_backend_opencl.put_kernels import move, moved, put_kernels

from .shaders import kernels

NAME = "metal"


def pack(weight: Layout, device: Device, threads: int | None) -> Layout:
    """A matrix on the device, as it was read. Implements `backend.Pack`."""
    return moved(weight, device.torch_device)


def prepare(
    model: CausalLM, device: Device, threads: int | None, activations: str = "auto"
) -> Mapping[str, str]:
    """Choose kernels for every block. Implements `tramontane.backend.Prepare`.

    Raises ConfigError where torch has no Metal here.
    """
    if not torch.backends.mps.is_available():
        raise ConfigError("torch does not find Metal on this machine; --device cpu works")
    if threads is not None:
        torch.set_num_threads(threads)
    move(model, device.torch_device)
    return {**put_kernels(model, kernels(), NAME), STEP: "kernel by kernel"}


def multiply(threads: int | None) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products for adapters, of which a row's bits do not depend on others. Implements
    `plugin.Backend.multiply`."""

    def product(x: Tensor, weight: Layout | LowRank) -> Tensor:
        if x.device.type != "mps":
            return reference.linear(x, weight)  # type: ignore[arg-type]
        return multiply_any(kernels())(x, weight)

    return product
