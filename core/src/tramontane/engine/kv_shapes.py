"""Which layers of a model keep keys and values, of which shapes, and how far back they are seen."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn


def kv_modules(model: nn.Module) -> dict[int, Any]:
    """The module that stores keys and values of each layer with a KV cache, by its `index`."""
    found: dict[int, Any] = {
        module.index: module  # type: ignore[misc]
        for module in model.modules()
        if hasattr(module, "kv_heads") and hasattr(module, "index")
    }
    return dict(sorted(found.items()))


def kv_shapes(model: nn.Module) -> list[tuple[int, int, int]]:
    """(kv_heads, d_key, d_value) of each layer with a KV cache, ordered by its `index`.

    Such a module has `index` and `kv_heads`, and `d_head`, or `cached`: (d_key, d_value).
    """
    return [
        (module.kv_heads, *getattr(module, "cached", (module.d_head,) * 2))
        for module in kv_modules(model).values()
    ]


class Seen(NamedTuple):
    """What a token sees: the last `tokens`, itself included, or from the beginning of its chunk of
    so many."""

    tokens: int
    chunked: bool


def kv_windows(model: nn.Module, most: int) -> list[Seen | None]:
    """What a token sees in each layer with a KV cache, ordered by its `index`; None: everything,
    or `most` tokens or more, the largest possible context."""
    found: list[Seen | None] = []
    for module in kv_modules(model).values():
        window, chunk = getattr(module, "window", None), getattr(module, "chunk", None)
        size = window if chunk is None else chunk
        found.append(Seen(size, chunk is not None) if size is not None and size < most else None)
    return found
