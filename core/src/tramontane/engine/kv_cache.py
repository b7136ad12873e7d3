"""The paged key-value cache: fixed blocks of tokens, handed out and taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .block_pool import BlockPool

BLOCK_SIZE = 16
ROOM = 16
"""Numbers behind a cache's last one."""


class LayerCache:
    """Keys and values of one layer: keys (blocks, kv_heads, d_key, block_size), values (blocks,
    kv_heads, block_size, d_value).

    Keys lie across: a query's products with a block's tokens are then sums of whole rows.
    """

    def __init__(
        self, blocks: int, kv_heads: int, d_key: int, d_value: int, options: dict[str, object]
    ) -> None:
        self.kv_heads, self.d_key, self.d_value = kv_heads, d_key, d_value
        # empty, not zeros: the system hands out pages when they are first written
        self.keys: Tensor = _roomy((blocks, kv_heads, d_key, BLOCK_SIZE), options)
        self.values: Tensor = _roomy((blocks, kv_heads, BLOCK_SIZE, d_value), options)

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Put the keys and values (tokens, kv_heads, d) of new tokens where they belong."""
        block, place = slots // BLOCK_SIZE, slots % BLOCK_SIZE
        self.keys[block, :, :, place] = keys.to(self.keys.dtype)
        self.values[block, :, place] = values.to(self.values.dtype)

    def gather(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """The first `length` tokens of a sequence in order, (length, kv_heads, d) each."""
        index = torch.tensor(list(blocks), dtype=torch.int64, device=self.keys.device)
        index = index[: -(-length // BLOCK_SIZE)]
        keys = self.keys[index].permute(0, 3, 1, 2).flatten(0, 1)
        values = self.values[index].permute(0, 2, 1, 3).flatten(0, 1)
        return keys[:length], values[:length]


def _roomy(shape: tuple[int, ...], options: dict[str, object]) -> Tensor:
    """An empty tensor that may be read a little beyond its end, as vector kernels do."""
    count = math.prod(shape)
    whole: Tensor = torch.empty(count + ROOM, **options)  # type: ignore[call-overload]
    return whole[:count].view(shape)


def slots_of(blocks: Sequence[int], length: int, device: torch.device) -> Tensor:
    """Where the first `length` tokens of a sequence lie."""
    first = torch.tensor(list(blocks), dtype=torch.int64, device=device) * BLOCK_SIZE
    return (first[:, None] + torch.arange(BLOCK_SIZE, device=device)).flatten()[:length]


class KVCache:
    """Every layer's cache, and which blocks are free. remember: see `BlockPool`."""

    def __init__(
        self,
        model: nn.Module,
        blocks: int,
        dtype: torch.dtype,
        device: torch.device,
        *,
        remember: bool = True,
    ) -> None:
        self.block_size = BLOCK_SIZE
        self.device, self.dtype, self.blocks = device, dtype, blocks
        self.pool = BlockPool(blocks, remember=remember)
        options: dict[str, object] = {"dtype": dtype, "device": device}
        self.layers = [
            LayerCache(blocks, kv_heads, d_key, d_value, options)
            for kv_heads, d_key, d_value in kv_shapes(model)
        ]

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return self.pool.free

    def take(self, count: int) -> list[int]:
        """Blocks for `count` * block_size tokens. Raises NotEnoughMemory."""
        return self.pool.take(count)

    def give_back(self, blocks: Sequence[int]) -> None:
        """Blocks that a finished sequence held."""
        self.pool.give_back(blocks)

    def copy(self, source: int, target: int) -> None:
        """Make a block's content another's, in every layer."""
        for layer in self.layers:
            layer.keys[target] = layer.keys[source]
            layer.values[target] = layer.values[source]


def kv_shapes(model: nn.Module) -> list[tuple[int, int, int]]:
    """(kv_heads, d_key, d_value) of each layer that caches, in the order of its index.

    A module that caches has `index` and `kv_heads`, and `d_head`, or `cached`: (d_key, d_value).
    """
    found: dict[int, tuple[int, int, int]] = {
        module.index: (module.kv_heads, *getattr(module, "cached", (module.d_head,) * 2))  # type: ignore[misc]
        for module in model.modules()
        if hasattr(module, "kv_heads") and hasattr(module, "index")
    }
    return [found[index] for index in sorted(found)]


def bytes_per_token(model: nn.Module, dtype: torch.dtype) -> int:
    """What one token of context costs, in bytes, all layers together."""
    return sum(heads * (key + value) * dtype.itemsize for heads, key, value in kv_shapes(model))
