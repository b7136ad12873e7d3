"""Keys and values of items that every row of a model cross-attends to: the text of an encoder and
decoder. They lie in one pool of blocks that stays where it is, so that recorded steps read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tramontane.blocks.cross import cross_layers

from .batch import Batch, Numbers, Span
from .block_pool import BlockPool
from .kv_cache import BLOCK_SIZE, LayerCache, cache_class, token_bytes
from .sliding_window import Pages
from .state_cache import StateCache


class ItemCache:
    """Keys and values of items in each layer that cross-attends, `blocks` blocks of 16 rows. To
    kernels it is a cache. dtype: of keys and values, as of a `KVCache`."""

    block_size = BLOCK_SIZE
    windows: Sequence[Pages] = ()
    states: StateCache | tuple[()] = ()

    def __init__(
        self, model: nn.Module, blocks: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.blocks, self.device = blocks, device
        self.pool = BlockPool(blocks, remember=False)
        self._modules = cross_layers(model)
        options: dict[str, object] = {"dtype": dtype, "device": device}
        kind = cache_class(dtype)
        self.layers: dict[int, LayerCache] = {
            index: kind(blocks, each.shared_heads, each.d_head, each.d_head, options)
            for index, each in self._modules.items()
        }

    def put(self, rows: Tensor) -> ItemRows:
        """Make room for what an encoder made, (rows, hidden), and store its keys and values. Raises
        NotEnoughMemory where no blocks are free."""
        blocks = self.pool.take(-(-len(rows) // BLOCK_SIZE))
        first = torch.tensor(blocks, device=self.device)[:, None] * BLOCK_SIZE
        slots = (first + torch.arange(BLOCK_SIZE, device=self.device)).flatten()[: len(rows)]
        for index, module in self._modules.items():
            per_head = (module.shared_heads, module.d_head)
            keys, values = module.keys_and_values(rows).chunk(2, -1)
            self.layers[index].store(
                slots, keys.unflatten(-1, per_head), values.unflatten(-1, per_head)
            )
        return ItemRows(blocks, len(rows))

    def drop(self, item: ItemRows) -> None:
        """Give back the blocks of an item that no row attends to any more."""
        self.pool.give_back(item.blocks)


class ItemRows(NamedTuple):
    """Where an item's keys and values are: blocks, and rows in them."""

    blocks: Sequence[int]
    rows: int


class CrossRows:
    """What the rows of a batch cross-attend to. parts: of rows one behind the other, how many there
    are, and the item that they see. Implements `CrossInput`."""

    def __init__(self, cache: ItemCache, parts: Sequence[tuple[int, ItemRows]]) -> None:
        self.cache, self.parts = cache, parts

    @cached_property
    def batch(self) -> Batch:
        """Each row as the last of a sequence of so many as its item has."""
        seen = [item for count, item in self.parts for _ in range(count)]
        spans = [Span(row, 1, item.rows, item.blocks) for row, item in enumerate(seen)]
        last = [item.rows - 1 for item in seen]
        cache: Any = self.cache
        return Batch(spans, Numbers(last, last, [0] * len(seen), []), cache)

    def attend(self, kernel: Callable[..., Tensor], q: Tensor, index: int, scale: float) -> Tensor:
        """q: (rows, heads, d_head) -> (rows, heads, d_head), in layer `index`."""
        return kernel(q, self.cache.layers[index], self.batch, scale, None)


def item_bytes(model: nn.Module, dtype: torch.dtype) -> int:
    """Bytes that a row of an item takes in all layers that cross-attend."""
    layers = cross_layers(model).values()
    return sum(token_bytes(each.shared_heads, each.d_head, each.d_head, dtype) for each in layers)
