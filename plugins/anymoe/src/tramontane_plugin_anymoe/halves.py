"""The feed-forward halves of a model's layers, where experts are put."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from tramontane.blocks import MLP, GatedMLP, Linear
from tramontane.errors import RequestError

MODULES = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Half:
    """Of one layer. path: of the module. modules: the names of its matrices, of which all but the
    last, down_proj, read what the half is given."""

    layer: int
    path: str
    modules: tuple[str, ...]
    hidden: int

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(f"{self.path}.{name}" for name in self.modules)

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of the matrices that read what the half is given; up_proj is the last."""
        return self.paths[:-1]


def halves_of(
    model: nn.Module, architecture: str, layers: Sequence[int] | None = None
) -> list[Half]:
    """Those of `layers`; None: of every layer that has one. Raises RequestError for layers without,
    and for families that have none at all."""
    stack = model.get_submodule("model.layers")
    count = len(list(stack.children()))
    found = {}
    for index, layer in enumerate(stack.children()):
        if (half := _half(index, layer)) is not None:
            found[index] = half
    if not found:
        raise RequestError(
            f"{architecture} has no feed-forward halves that experts could take the place of: its "
            "layers are mixtures of experts already, or of another kind"
        )
    if layers is None:
        return list(found.values())
    for index in layers:
        if index not in found:
            what = (
                f"the model has {count} layers, 0 to {count - 1}" if not 0 <= index < count
                else f"layer {index} of {architecture} has no dense feed-forward half"
            )  # fmt: skip
            raise RequestError(f"layer {index} cannot have experts: {what}")
    return [found[index] for index in sorted(set(layers))]


def _half(index: int, layer: nn.Module) -> Half | None:
    for name, module in layer.named_children():
        if isinstance(module, (GatedMLP, MLP)):
            names = tuple(each for each in MODULES if hasattr(module, each))
            if all(type(getattr(module, each)) is Linear for each in names):
                hidden = module.up_proj.weight.shape[1]
                return Half(index, f"model.layers.{index}.{name}", names, hidden)
    return None
