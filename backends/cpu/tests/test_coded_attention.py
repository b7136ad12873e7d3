"""Keys and values in 8 and 4 bits: kernels write the reference's codes, and read them alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, CodedCache, KVCache
from tramontane.engine.kv_codes import INT4
from tramontane_backend_cpu.kernels.attention import SPLIT
from tramontane_backend_cpu.kernels.rows import STORE_FIELDS
from tramontane_backend_cpu.step.lower import CACHE_KINDS, STORES
from tramontane_backend_cpu.step.memory import address
from tramontane_backend_cpu.step.products import arguments

from .test_attention import Caches, ends
from .test_attention_options import CLOSE, SCALE, expected, run

SHAPES = [
    (4, 4, 16), (6, 2, 20), (8, 1, 32), (3, 1, 33), (8, 2, 64), (4, 2, 80), (5, 5, 96),
    (9, 3, 112), (8, 2, 128), (2, 1, 256),
]  # fmt: skip
KINDS = [torch.int8, INT4]
LENGTHS, COUNTS = [1, 16, 53, 2 * SPLIT + 40, SPLIT + 30], [1, 16, 5, 1, 70]


def garbled(blocks: int, kv_heads: int, d_head: int, kind: torch.dtype) -> KVCache:
    """A cache whose memory is what nobody should read: scales that are NaN."""
    cache = KVCache(Caches(kv_heads, d_head), blocks, kind, torch.device("cpu"))
    for tensor in cache.layers[0].whole:
        tensor.view(torch.uint8).fill_(255)
    return cache


def filled(
    kv_heads: int, d_head: int, lengths: list[int], kind: torch.dtype
) -> tuple[KVCache, list[list[int]]]:
    """A cache with a sequence of each length, its blocks in no order."""
    cache = garbled(sum(-(-length // BLOCK_SIZE) for length in lengths), kv_heads, d_head, kind)
    held = []
    for length in lengths:
        blocks = cache.take(-(-length // BLOCK_SIZE))[::-1]
        whole = Batch.of([(0, length, length, blocks, [])], cache)
        cache.layers[0].store(whole.slots, *torch.randn(2, length, kv_heads, d_head))
        held.append(blocks)
    return cache, held


def written(
    keys: Tensor, values: Tensor, slots: Tensor, blocks: int, kind: torch.dtype
) -> CodedCache:
    """A layer that the kernel wrote tokens to."""
    (tokens, heads, d_head), pitch = keys.shape, 4 * keys[0].numel()
    layer = garbled(blocks, heads, d_head, kind).layers[0]
    assert isinstance(layer, CodedCache)
    held = [np.ascontiguousarray(each.numpy()) for each in (keys, values, slots)]
    told = arguments(
        STORE_FIELDS, k=address(held[0]), k_stride=pitch, v=address(held[1]), v_stride=pitch,
        slots=address(held[2]), heads=heads, d_key=d_head, d_value=d_head,
        keys=layer.keys.data_ptr(), values=layer.values.data_ptr(),
    )  # fmt: skip
    STORES[CACHE_KINDS[kind]].ctypes(address(told), 0, tokens)
    return layer


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", [1e-37, 1e-3, 1.0, 1e6, 1e36])
@pytest.mark.parametrize("d_head", [4, 10, 16, 33, 64, 80, 96, 112, 256])
def test_the_same_codes_and_scales_are_written(d_head: int, size: float, kind: torch.dtype) -> None:
    keys, values = torch.randn(2, 30, 2, d_head) * size
    keys[3] = 0
    values[4, 0, 0] = torch.finfo(torch.float32).max
    slots = torch.randperm(64)[:30]
    mine = written(keys, values, slots, 4, kind)
    theirs = garbled(4, 2, d_head, kind).layers[0]
    theirs.store(slots, keys, values)
    for found, told in zip(mine.whole, theirs.whole, strict=True):
        # keys fill up their units with zeros
        assert torch.equal(found, told)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_nan_and_nothing_else_is(bad: float, kind: torch.dtype) -> None:
    keys, values = torch.randn(2, 20, 2, 80)
    keys[7, 1, 70], values[9, 0, 3] = bad, bad
    layer = written(keys, values, torch.arange(20), 2, kind)
    found = layer.gather([0, 1], 20)
    assert found[0][7, 1, 64:].isnan().all()
    assert found[1][9, 0, :32].isnan().all()
    found[0][7, 1, 64:] = found[1][9, 0, :32] = 0
    assert all(each.isfinite().all() for each in found)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("window", [None, 9, 700])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), SHAPES)
def test_against_the_reference(
    heads: int, kv_heads: int, d_head: int, window: int | None, kind: torch.dtype
) -> None:
    cache, held = filled(kv_heads, d_head, LENGTHS, kind)
    pieces = ends(COUNTS, LENGTHS, held)
    q = torch.randn(sum(COUNTS), heads, d_head)
    for options in ({}, {"alibi": [2.0**-i for i in range(1, heads + 1)]}, {"softcap": 2.0}):
        told = (cache.layers[0], Batch.of(pieces, cache), SCALE, window)
        wanted = reference.attention(q, *told, **options)  # type: ignore[arg-type]
        out = run(q, pieces, cache, window=window, **options)
        # sums of whole numbers are exact: what is left are those of float32 over groups and tokens
        torch.testing.assert_close(out, wanted, **CLOSE)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("window", [None, 700])
def test_sinks(window: int | None, kind: torch.dtype) -> None:
    cache, held = filled(2, 80, LENGTHS, kind)
    pieces = ends(COUNTS, LENGTHS, held)
    q, sinks = torch.randn(sum(COUNTS), 6, 80), torch.linspace(-3, 3, 6)
    wanted = expected(cache.layers[0].queries(q), pieces, cache, window, None, sinks)
    torch.testing.assert_close(run(q, pieces, cache, window=window, sinks=sinks), wanted, **CLOSE)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("window", [None, 600])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), [(8, 2, 64), (9, 3, 112), (6, 2, 20)])
def test_a_token_depends_on_its_own_sequence_only(
    heads: int, kv_heads: int, d_head: int, window: int | None, kind: torch.dtype
) -> None:
    """Alone or in company, in a chunk of any size, on any number of threads."""
    cache, held = filled(kv_heads, d_head, LENGTHS, kind)
    counts = [min(70, length) for length in LENGTHS]
    q = torch.randn(sum(counts), heads, d_head)
    together = run(q, ends(counts, LENGTHS, held), cache, window=window).split(counts)
    random = np.random.default_rng(5)
    for _ in range(20):
        which = int(random.integers(len(LENGTHS)))
        length, count = LENGTHS[which], counts[which]
        first = int(random.integers(count))
        size = int(random.integers(1, count - first + 1))
        piece = [(length - count + first, size, length - count + first + size, held[which], [0])]
        rows = slice(first, first + size)
        mine = q.split(counts)[which][rows]
        out = run(mine, piece, cache, int(random.integers(1, 4)), window=window)
        assert torch.equal(out, together[which][rows]), (which, first, size)


def test_bytes_of_both_signs_are_multiplied_exactly() -> None:
    """Codes of 127 and -127 in every place: sums of 32 products of the largest size."""
    signs = torch.tensor([1.0, -1.0])[torch.randint(2, (300, 1, 64))]
    cache = garbled(19, 1, 64, torch.int8)
    whole = Batch.of([(0, 300, 300, list(range(19)), [])], cache)
    cache.layers[0].store(whole.slots, signs * 127, signs)
    q = signs[:8].reshape(4, 2, 64)  # each meets itself, where no product is below 0
    pieces = [(296, 4, 300, list(range(19)), [0])]
    wanted = expected(q, pieces, cache)
    torch.testing.assert_close(run(q, pieces, cache), wanted, rtol=1e-5, atol=1e-5)
