"""The paged key-value cache: blocks of a fixed number of tokens, allocated and released."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .block_pool import BlockPool
from .cache_view import CacheView, Places
from .kv_codes import CODES, Codes, dequantize, groups_of
from .kv_floats import FLOATS8, decode, encode
from .kv_shapes import kv_modules, kv_shapes, kv_windows
from .sliding_window import Pages
from .state_cache import Copies, StateCache

BLOCK_SIZE = 16
PADDING = 16
"""Padding elements after a cache's last one."""


class LayerCache:
    """Keys and values of one layer: keys (blocks, kv_heads, d_key, block_size), values (blocks,
    kv_heads, block_size, d_value).

    Keys are transposed: a query's scores with a block's tokens are then sums of rows.
    """

    def __init__(
        self,
        blocks: int,
        kv_heads: int,
        d_key: int,
        d_value: int,
        options: dict[str, object],
        pages: Pages | None = None,
    ) -> None:
        """pages: maps blocks to pages, where layers see a part; None: page = block id."""
        self.kv_heads, self.d_key, self.d_value, self.pages = kv_heads, d_key, d_value, pages
        self.stored = cast("torch.dtype", options["dtype"])
        """What is stored: a float type, int8 for 8-bit codes, or uint4 for 4-bit codes."""
        self.keys: Tensor
        self.values: Tensor
        self.whole = self._take(blocks + (pages is not None), options)
        """Tensors whose first dimension is the page, with everything that is stored of it."""
        if pages is not None:
            for tensor in self.whole:
                tensor[pages.nowhere] = 0

    def _take(self, blocks: int, options: dict[str, object]) -> tuple[Tensor, Tensor]:
        # empty, not zeros: the system allocates memory pages when they are first written
        self.keys = _padded((blocks, self.kv_heads, self.d_key, BLOCK_SIZE), options)
        self.values = _padded((blocks, self.kv_heads, BLOCK_SIZE, self.d_value), options)
        return self.keys, self.values

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.keys.device

    def page(self, blocks: Tensor) -> Tensor:
        """The pages of blocks."""
        return blocks if self.pages is None else self.pages.look(blocks)

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write the keys and values (tokens, kv_heads, d) of new tokens to their slots (tokens)."""
        self.put_back(slots, keys.to(self.keys.dtype), values.to(self.values.dtype))

    def queries(self, q: Tensor) -> Tensor:
        """Queries rounded as the kernels round them before they are multiplied with keys."""
        return q

    def gather(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """The first `length` tokens of a sequence in order, (length, kv_heads, d) floats each."""
        return self.take_out(blocks, length)

    def put_back(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write keys and values in the stored format that `take_out` returns."""
        block, place = self.page(slots // BLOCK_SIZE), slots % BLOCK_SIZE
        self.keys[block, :, :, place] = keys
        self.values[block, :, place] = values

    def take_out(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """The first `length` tokens of a sequence in the stored format, (length, kv_heads,
        kept_width(d, dtype)) each."""
        index = self._pages_of(blocks, length)
        keys = self.keys[index].permute(0, 3, 1, 2).flatten(0, 1)
        values = self.values[index].permute(0, 2, 1, 3).flatten(0, 1)
        return keys[:length], values[:length]

    def copy(self, source: int, target: int) -> None:
        """Copy the content of block `source` to block `target`."""
        one, other = self.page(torch.tensor([source, target], device=self.keys.device)).tolist()
        for tensor in self.whole:
            tensor[other] = tensor[one]

    def _pages_of(self, blocks: Sequence[int], length: int) -> Tensor:
        index = torch.tensor(list(blocks), dtype=torch.int64, device=self.keys.device)
        return self.page(index[: -(-length // BLOCK_SIZE)])


class FloatCache8(LayerCache):
    """A layer's cache of 8-bit floats, laid out as `LayerCache`, in bytes. See `kv_floats.py`."""

    def _take(self, blocks: int, options: dict[str, object]) -> tuple[Tensor, Tensor]:
        return super()._take(blocks, {**options, "dtype": torch.uint8})

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        self.put_back(slots, encode(keys, self.stored), encode(values, self.stored))

    def gather(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        keys, values = self.take_out(blocks, length)
        return decode(keys, self.stored), decode(values, self.stored)


class CodedCache(LayerCache):
    """A layer's cache of 8- or 4-bit codes: keys (blocks, kv_heads, units, block_size, 4) and
    values (blocks, kv_heads, block_size, bytes of a head).

    Keys are transposed in units of 4 bytes, those of byte dot products: four 8-bit codes, or eight
    4-bit codes, the first four in the low halves. The codes of each block and head are followed in
    memory by the scales of its tokens, bfloat16 (blocks, kv_heads, groups, block_size). See
    `kv_codes.py`.
    """

    key_scales: Tensor
    value_scales: Tensor

    @property
    def codes(self) -> Codes:
        return CODES[self.stored]

    def _take(self, blocks: int, options: dict[str, object]) -> tuple[Tensor, Tensor]:
        options = {**options, "dtype": self.codes.dtype}
        shape, units = (blocks, self.kv_heads), self.codes.key_units(self.d_key)
        key_pages, keys, self.key_scales = _coded(shape, 4 * units, self.d_key, options)
        value_bytes = self.codes.kept_width(self.d_value) - 2 * groups_of(self.d_value)
        value_pages, values, self.value_scales = _coded(shape, value_bytes, self.d_value, options)
        self.keys = keys.unflatten(-1, (units, BLOCK_SIZE, 4))
        self.values = values.unflatten(-1, (BLOCK_SIZE, value_bytes))
        return key_pages, value_pages

    def queries(self, q: Tensor) -> Tensor:
        """Queries in 8 bits, whatever the bits of the cache."""
        return dequantize(*CODES[torch.int8].quantize(q)).to(q.dtype)

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        stored = (self.codes.joined(*self.codes.quantize(each)) for each in (keys, values))
        self.put_back(slots, *stored)

    def gather(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        keys, values = self.take_out(blocks, length)
        return (
            dequantize(*self.codes.parted(keys, self.d_key)),
            dequantize(*self.codes.parted(values, self.d_value)),
        )

    def put_back(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        block, place = self.page(slots // BLOCK_SIZE), slots % BLOCK_SIZE
        codes, scales = self.codes.parted(keys, self.d_key)
        self.keys[block, :, :, place] = self._units(codes)
        self.key_scales[block, :, :, place] = scales
        value_bytes = self.values.shape[-1]
        self.values[block, :, place] = values[..., :value_bytes]
        self.value_scales[block, :, :, place] = self.codes.parted(values, self.d_value)[1]

    def take_out(self, blocks: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        index = self._pages_of(blocks, length)
        units = self.keys[index].permute(0, 3, 1, 2, 4)
        scales = (each[index].permute(0, 3, 1, 2) for each in (self.key_scales, self.value_scales))
        of_keys, of_values = scales
        keys = self.codes.joined(self._from_units(units), of_keys)
        values = torch.cat(
            (self.values[index].permute(0, 2, 1, 3), _bytes(of_values, self.codes.dtype)), -1
        )
        return keys.flatten(0, 1)[:length], values.flatten(0, 1)[:length]

    def _units(self, codes: Tensor) -> Tensor:
        """Codes of keys (..., d_key) as they lie in the cache: (..., units, 4)."""
        padded = F.pad(codes, (0, -self.d_key % self.codes.unit))
        whole: Tensor = padded.view(*codes.shape[:-1], -1, self.codes.unit)
        if self.codes.bits == 8:
            return whole
        nibbles = whole.add(8).to(torch.uint8)
        units: Tensor = nibbles[..., :4] | nibbles[..., 4:] << 4
        return units

    def _from_units(self, units: Tensor) -> Tensor:
        """Inverse of `_units`."""
        if self.codes.bits == 4:
            units = torch.cat((units & 15, units >> 4), -1).to(torch.int8).sub(8)
        codes: Tensor = units.flatten(-2)[..., : self.d_key]
        return codes


def _coded(
    shape: tuple[int, int], stored: int, width: int, options: dict[str, object]
) -> tuple[Tensor, Tensor, Tensor]:
    """Allocate pages of `stored` bytes of codes, for `width` numbers, of each token, block and
    head; with views of their codes and scales."""
    codes = BLOCK_SIZE * stored
    pages = _padded((*shape, BLOCK_SIZE * (stored + 2 * groups_of(width))), options)
    scales = pages[..., codes:].view(torch.bfloat16).unflatten(-1, (-1, BLOCK_SIZE))
    return pages, pages[..., :codes], scales


def _bytes(scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Scales (..., groups) as bytes of a type, (..., 2 * groups)."""
    return scales.clone(memory_format=torch.contiguous_format).view(dtype)


def cache_class(dtype: torch.dtype) -> type[LayerCache]:
    """The class of a layer's cache for a type of keys and values."""
    if dtype in CODES:
        return CodedCache
    return FloatCache8 if dtype in FLOATS8 else LayerCache


def kept_width(width: int, dtype: torch.dtype) -> int:
    """Stored elements for a head of `width` numbers, scales included."""
    return CODES[dtype].kept_width(width) if dtype in CODES else width


def _padded(shape: tuple[int, ...], options: dict[str, object]) -> Tensor:
    """An uninitialized tensor with padding behind its end, which vector kernels may read."""
    count = math.prod(shape)
    tensor: Tensor = torch.empty(count + PADDING, **options)  # type: ignore[call-overload]
    return tensor[:count].view(shape)


def slots_of(blocks: Sequence[int], length: int, device: torch.device) -> Tensor:
    """Cache slots of the first `length` tokens of a sequence, (length) int64."""
    first = torch.tensor(list(blocks), dtype=torch.int64, device=device) * BLOCK_SIZE
    return (first[:, None] + torch.arange(BLOCK_SIZE, device=device)).flatten()[:length]


class KVCache:
    """The caches of all layers, and the pool of their blocks; and the states of sequences.

    dtype: storage type of keys and values; int8 and uint4 are codes with scales. remember: see
    `BlockPool`. state_slots: of the `StateCache`. whole: keep all tokens where layers see a part,
    so that a block is a page: for a cache whose blocks another's pool gives out.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: int,
        dtype: torch.dtype,
        device: torch.device,
        *,
        remember: bool = True,
        state_slots: int = 8,
        placed: Places | None = None,
        whole: bool = False,
    ) -> None:
        """placed: where each layer is, if on several devices; device is then home's."""
        self.block_size = BLOCK_SIZE
        self.device, self.dtype, self.blocks = device, dtype, blocks
        self._placed = placed
        self._views: dict[str, CacheView] = {}
        self.pool = BlockPool(blocks, remember=remember)
        at = {} if placed is None else {i: each.device for i, each in placed.layers().items()}
        windows = kv_windows(model, 0 if whole else blocks * BLOCK_SIZE)
        by_window = {
            window: Pages(blocks, window.tokens, BLOCK_SIZE, chunked=window.chunked)
            for window in dict.fromkeys(windows)
            if window is not None
        }
        self.windows = list(by_window.values())
        """Page tables of layers with a sliding window or chunks, one for each size."""
        self.items: Any = None
        """The `ItemCache` of what its sequences cross-attend to, where recorded steps read it."""
        self.mirrors: list[Copies] = []
        """Caches that keep something else of the same blocks: what is copied here is there too."""
        self.forgetters: list[Callable[[int], None]] = []
        """Called with each block whose content is no longer cached."""
        self.pool.forgotten = self._forgotten
        kind = cache_class(dtype)
        self.layers: dict[int, LayerCache] = {
            index: kind(
                blocks,
                *shape,
                {"dtype": dtype, "device": at.get(index, device)},
                None if window is None else by_window[window],
            )
            for index, shape, window in zip(
                kv_modules(model), kv_shapes(model), windows, strict=True
            )
        }
        """Of the layers that have keys and values, by their index."""
        self.states = StateCache(model, state_slots, device, at)

    def on(self, name: str) -> CacheView:
        """What one of the devices has of it."""
        if name not in self._views:
            assert self._placed is not None
            self._views[name] = CacheView(self, self._placed, name)
        return self._views[name]

    def _forgotten(self, block: int) -> None:
        for pages in self.windows:
            pages.release((block,))
        for forget in self.forgetters:
            forget(block)

    @property
    def free(self) -> int:
        """Number of blocks with no holder."""
        return self.pool.free

    def take(self, count: int) -> list[int]:
        """Allocate `count` blocks, with pages in all layers. Raises NotEnoughMemory."""
        taken = self.pool.take(count)
        self.ready(taken)
        return taken

    def ready(self, blocks: Sequence[int]) -> None:
        """Make sure that blocks that the next step writes to have pages."""
        for pages in self.windows:
            pages.ready(blocks)

    def passed(self, blocks: Sequence[int], before: int, after: int) -> None:
        """Release pages that left the window when a sequence grew from `before` to `after`."""
        for pages in self.windows:
            pages.passed(blocks, before, after, self.pool)

    def usable(self, blocks: Sequence[int], digests: Sequence[bytes]) -> int:
        """How many of these cached blocks, counted from the first, a sequence can continue from."""
        count, before = len(blocks), -1
        while count != before:
            before = count
            if self.states:
                count = self.states.usable(digests, count)
            for pages in self.windows:
                count = pages.usable(blocks, count)
        return count

    def give_back(self, blocks: Sequence[int]) -> None:
        """Release the blocks of a finished sequence."""
        self.pool.give_back(blocks)

    def copy(self, source: int, target: int) -> None:
        """Copy the content of block `source` to block `target`, in every layer."""
        for layer in self.layers.values():
            layer.copy(source, target)
        for mirror in self.mirrors:
            mirror.copy(source, target)


def bytes_per_token(model: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of cache for one token of context, all layers together."""
    return sum(token_bytes(*shape, dtype) for shape in kv_shapes(model))


def token_bytes(heads: int, key: int, value: int, dtype: torch.dtype) -> int:
    """The same of a layer with so many heads, of keys and values of these widths."""
    return heads * (_key_bytes(key, dtype) + kept_width(value, dtype) * dtype.itemsize)


def _key_bytes(width: int, dtype: torch.dtype) -> int:
    """Bytes of a token's key, which is padded to whole units of codes."""
    if dtype not in CODES:
        return width * dtype.itemsize
    return 4 * CODES[dtype].key_units(width) + 2 * groups_of(width)
