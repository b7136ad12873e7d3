"""What a backend sees of a model that has modules on other devices as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM


class Part(nn.Module):
    """The modules of a model that are on one device, by their paths in the whole.

    `modules()` and `named_modules()` are these and no others: neither modules of theirs that are
    elsewhere nor the part itself. Each is the whole model's own object: what `Prepare` puts on it,
    a kernel, a weight or another `forward`, is what runs.
    """

    whole: CausalLM
    """The model, for its configuration; `Prepare` must not change it."""
    layers: Mapping[int, nn.Module]
    """Those of the model's layers that are on this device, by number; within some of them, experts
    may be elsewhere."""
    around: Callable[[], AbstractContextManager[Any]]
    """Entered while modules of the part run, one after the other; `Prepare` may set another."""

    def __init__(self, whole: CausalLM, inside: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._inside = dict(inside)
        here = set(map(id, inside.values()))
        layers = {i: each for i, each in enumerate(_layers(whole)) if id(each) in here}
        # not as modules of its own
        vars(self).update(whole=whole, layers=layers, around=nullcontext)

    def named_modules(
        self, memo: Any = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        for path, module in self._inside.items():
            yield f"{prefix}.{path}".strip("."), module


def _layers(whole: nn.Module) -> Any:
    """The layers of a model's step; a `TaskModel` has no step."""
    return getattr(getattr(whole, "model", None), "layers", ())
