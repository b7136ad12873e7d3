"""Tramontane's own model on the reference device: exact float32, plain torch, watched by hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tramontane import memory
from tramontane.blocks import Embedding, Linear, StackedLinear
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions, Progress
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry
from tramontane.system.devices import REFERENCE
from tramontane.testing.forward_passes import whole
from tramontane.testing.rounding import let_round

from .watch import Seen, watched
from .weights import Sample, samples_of

SUMS = 1e-6
"""What float32 sums in another order may change in a product, as a share of its size."""


@dataclass(frozen=True)
class Rounding:
    """What another computation of the same model rounds.

    activations: "auto": inputs of packed matrices to 8 bits, of 16-bit ones to bfloat16. dtype: of
    what every module returns. kv_dtype: of keys and values. weights: how far the results of a
    module are off as its weights are, by its path, as a share of their size.
    """

    activations: str = "f32"
    dtype: torch.dtype = torch.float32
    kv_dtype: torch.dtype = torch.float32
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        return self == Rounding()


class Ours:
    """A loaded model that shows what it computes. Raises as `load_model` does."""

    def __init__(
        self,
        path: Path,
        registry: Registry,
        context: int,
        *,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        checkpoint = open_checkpoint(path, registry)
        options = LoadOptions(
            device=REFERENCE, activations="f32", kv_type="f32", num_ctx=context, force=force
        )
        try:
            loaded = load_model(checkpoint, registry, options, progress)
        finally:
            checkpoint.close()
        self.model, self.config, self.layouts = loaded.model, loaded.config, loaded.report.layouts
        memory.give_back()

    @property
    def layers(self) -> nn.ModuleList:
        return self.model.model.layers

    def run(
        self,
        prompt: Sequence[int],
        *,
        parts: bool = False,
        feed: Seen | None = None,
        rounding: Rounding | None = None,
    ) -> Seen:
        """Everything computed for a prompt. feed: what another model computed, which each layer
        reads in place of what the layer before gives."""
        count, last = len(prompt), getattr(self.model.model, "norm", None)
        with (
            _rounded(self.model, rounding),
            watched(self.layers, count, parts=parts, last=last, feed=feed) as noted,
        ):
            kv_dtype = torch.float32 if rounding is None else rounding.kv_dtype
            logits = whole(self.model, prompt, kv_dtype=kv_dtype)
        return noted.seen(logits)

    def weights(self) -> dict[str, Sample]:
        """Some rows of each."""
        return samples_of(self.model)

    def kinds(self) -> list[str]:
        """What each layer is made of: "Attention, GatedMLP"."""
        return [_kind(layer) for layer in self.layers]


def _kind(layer: nn.Module) -> str:
    names = []
    for child in layer.children():
        if any(True for _ in child.children()):  # norms have none
            window = getattr(child, "window", None)
            seen = f" of {window}" if isinstance(window, int) else ""
            names.append(type(child).__name__ + seen)
    return ", ".join(names) or type(layer).__name__


@contextmanager
def _rounded(model: nn.Module, rounding: Rounding | None) -> Iterator[None]:
    """Within, products and results are rounded; what is exact is as float32 sums are."""
    if rounding is None:
        yield
        return
    kernels = [(m, m.kernel) for m in model.modules() if isinstance(m, Linear | StackedLinear)]
    handles = []
    random = torch.Generator().manual_seed(0)
    if rounding.activations == "auto":
        let_round(model, "auto")
    for path, module in model.named_modules():
        if isinstance(module, Linear | StackedLinear | Embedding):
            share = (rounding.weights.get(path, 0.0) ** 2 + SUMS**2) ** 0.5
            handles.append(module.register_forward_hook(_noise(share, random)))
        if rounding.dtype != torch.float32 and next(module.children(), None) is None:
            handles.append(module.register_forward_hook(_rounds(rounding.dtype)))
    try:
        yield
    finally:
        for module, kernel in kernels:
            module.kernel = kernel
        for handle in handles:
            handle.remove()


def _noise(share: float, random: torch.Generator) -> Any:
    def add(_: nn.Module, __: Any, out: Any) -> Any:
        if not isinstance(out, Tensor):
            return out
        size = out.square().mean(-1, keepdim=True).sqrt() * share
        return out + torch.randn(out.shape, generator=random).to(out) * size

    return add


def _rounds(dtype: torch.dtype) -> Any:
    def change(_: nn.Module, __: Any, out: Any) -> Any:
        if isinstance(out, Tensor) and out.is_floating_point():
            return out.to(dtype).to(out.dtype)
        return out

    return change
