"""What passes between the layers of a torch model, of ours or of another implementation.

Hooks note what goes into the first layer and what comes out of each. They can also feed a layer:
with what another model gave it, so that what comes out shows this layer's own error, without what
the layers before it have added.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

DEPTH = 2
"""How far below a layer parts are noted: `mlp`, and `mlp.down_proj`."""


@dataclass
class Seen:
    """What a model computed for a prompt. logits: (tokens, vocabulary). embedded and each of
    layers: (tokens, hidden), None where it has another form. parts: results of modules in layers,
    by the layer's number and the path below it, in the order in which they were computed."""

    logits: Tensor
    embedded: Tensor | None = None
    layers: list[Tensor | None] = field(default_factory=list)
    parts: dict[tuple[int, str], Tensor] = field(default_factory=dict)


@dataclass
class Noted:
    """What hooks have noted so far."""

    embedded: Tensor | None
    layers: list[Tensor | None]
    parts: dict[tuple[int, str], Tensor]

    def seen(self, logits: Tensor) -> Seen:
        return Seen(logits.float().cpu(), self.embedded, self.layers, self.parts)


@contextmanager
def watched(
    layers: nn.ModuleList, tokens: int, *, parts: bool = False, last: Any = None,
    feed: Seen | None = None,
) -> Iterator[Noted]:  # fmt: skip
    """Note what passes within. last: the module behind the last layer, which is fed too."""
    noted = Noted(None, [None] * len(layers), {})
    handles = []

    def begin(_: nn.Module, args: Any, kwargs: Any) -> None:
        noted.embedded = rows_of(next(_tensors((args, *kwargs.values())), None), tokens)

    handles.append(layers[0].register_forward_pre_hook(begin, with_kwargs=True))
    for index, layer in enumerate(layers):

        def end(_: nn.Module, __: Any, out: Any, index: int = index) -> None:
            noted.layers[index] = rows_of(next(_tensors(out), None), tokens)

        handles.append(layer.register_forward_hook(end))
        if parts:
            handles += [
                module.register_forward_hook(_noting(noted, index, path, tokens))
                for path, module in layer.named_modules()
                if path and path.count(".") < DEPTH
            ]
    if feed is not None:
        given = [feed.embedded, *feed.layers]
        for layer, x in zip([*layers, last], given, strict=True):
            if layer is not None and x is not None:
                handles.append(layer.register_forward_pre_hook(_feeding(x)))
    try:
        yield noted
    finally:
        for handle in handles:
            handle.remove()


def rows_of(out: Tensor | None, tokens: int) -> Tensor | None:
    """(tokens, ...) or (1, tokens, ...) as (tokens, n) in float32; None for anything else."""
    if out is None:
        return None
    if out.ndim > 2 and out.shape[0] == 1:
        out = out[0]
    if out.ndim < 2 or out.shape[0] != tokens or not out.is_floating_point():
        return None
    return out.detach().flatten(1).float().cpu().clone()


def layers_of(model: nn.Module, count: int) -> nn.ModuleList | None:
    """The decoder's layers: the list of so many modules that has the most parameters."""
    found = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    return max(found, key=lambda m: sum(p.numel() for p in m.parameters()), default=None)


def _noting(noted: Noted, index: int, path: str, tokens: int) -> Any:
    def note(_: nn.Module, __: Any, out: Any) -> None:
        if (rows := rows_of(next(_tensors(out), None), tokens)) is not None:
            noted.parts[index, path] = rows

    return note


def _feeding(x: Tensor) -> Any:
    def feed(_: nn.Module, args: Any) -> Any:
        if args and isinstance(args[0], Tensor) and args[0].shape == x.shape:
            return (x.to(args[0]), *args[1:])
        return None

    return feed


def _tensors(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, tuple | list):
        for each in out:
            yield from _tensors(each)
