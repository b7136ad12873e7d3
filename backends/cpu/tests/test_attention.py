"""Attention over the paged cache against the reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache
from tramontane.engine.kv_codes import INT4
from tramontane_backend_cpu.eager import attend
from tramontane_backend_cpu.kernels.attention import SPLIT
from tramontane_backend_cpu.step.pool import shared_pool

KINDS = [
    torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.int8, INT4,
]  # fmt: skip
Piece = tuple[int, int, int, list[int], list[int]]


class Caches(nn.Module):
    def __init__(self, kv_heads: int, d_head: int) -> None:
        super().__init__()
        layer = nn.Module()
        layer.index, layer.kv_heads, layer.d_head = 0, kv_heads, d_head  # type: ignore[assignment]
        self.layer = layer


def filled(
    kv_heads: int, d_head: int, lengths: list[int], dtype: torch.dtype = torch.float32
) -> tuple[KVCache, list[list[int]]]:
    """A cache with a sequence of each length, its blocks in no order."""
    blocks = sum(-(-length // BLOCK_SIZE) for length in lengths)
    cache = KVCache(Caches(kv_heads, d_head), blocks, dtype, torch.device("cpu"))
    for tensor in (cache.layers[0].keys, cache.layers[0].values):
        tensor.zero_()
    held = []
    for length in lengths:
        blocks = cache.take(-(-length // BLOCK_SIZE))[::-1]
        whole = Batch.of([(0, length, length, blocks, [])], cache)
        k, v = torch.randn(length, kv_heads, d_head), torch.randn(length, kv_heads, d_head)
        cache.layers[0].store(whole.slots, k, v)
        held.append(blocks)
    return cache, held


def ends(counts: list[int], lengths: list[int], held: list[list[int]]) -> list[Piece]:
    """The last tokens of each sequence."""
    return [
        (length - count, count, length, blocks, [0])
        for count, length, blocks in zip(counts, lengths, held, strict=True)
    ]


def run(
    q: Tensor, pieces: list[Piece], cache: KVCache, window: int | None = None, threads: int = 2
) -> Tensor:
    batch = Batch.of(pieces, cache)
    scale = q.shape[2] ** -0.5
    return attend(shared_pool(threads))(q, cache.layers[0], batch, scale, window)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("window", [None, 1, 9, 700])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), [(4, 4, 8), (6, 2, 20), (8, 1, 64)])
def test_against_the_reference(
    heads: int, kv_heads: int, d_head: int, window: int | None, dtype: torch.dtype
) -> None:
    counts, lengths = [1, 16, 5, 20, 1, 70], [1, 16, 53, 20, 2 * SPLIT + 40, SPLIT + 30]
    cache, held = filled(kv_heads, d_head, lengths, dtype)
    pieces = ends(counts, lengths, held)
    q = torch.randn(sum(counts), heads, d_head)
    batch = Batch.of(pieces, cache)
    expected = reference.attention(q, cache.layers[0], batch, d_head**-0.5, window)
    out = run(q, pieces, cache, window)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2)])
def test_scores_that_are_capped_and_fall_with_distance(
    heads: int, kv_heads: int, softcap: float | None
) -> None:
    counts, lengths = [1, 16, 5, 70], [1, 16, 2 * SPLIT + 40, SPLIT + 30]
    cache, held = filled(kv_heads, 24, lengths)
    batch = Batch.of(ends(counts, lengths, held), cache)
    q, alibi = torch.randn(sum(counts), heads, 24), [2.0**-i for i in range(1, heads + 1)]
    told = (q, cache.layers[0], batch, 0.3, None, softcap, alibi)
    out, expected = attend(shared_pool(2))(*told), reference.attention(*told)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [None, 600])
def test_a_token_depends_on_its_own_sequence_only(window: int | None) -> None:
    """Alone or in company, in a chunk of any size, on any number of threads."""
    lengths = [3, 40, 3 * SPLIT + 7, SPLIT]
    cache, held = filled(2, 32, lengths)
    queries = [torch.randn(length, 6, 32) for length in lengths]
    counts = [min(90, length) for length in lengths]
    q = torch.cat([q[-count:] for q, count in zip(queries, counts, strict=True)])
    together = run(q, ends(counts, lengths, held), cache, window).split(counts)
    random = torch.Generator().manual_seed(5)
    for _ in range(25):
        which = int(torch.randint(len(lengths), (), generator=random))
        length, count = lengths[which], counts[which]
        first = int(torch.randint(count, (), generator=random))
        size = int(torch.randint(1, count - first + 1, (), generator=random))
        start = length - count + first
        piece = [(start, size, length, held[which], [0])]
        threads = int(torch.randint(1, 4, (), generator=random))
        out = run(queries[which][start : start + size], piece, cache, window, threads)
        assert torch.equal(out, together[which][first : first + size]), (which, start, size)


def test_large_scores_do_not_overflow() -> None:
    cache, held = filled(2, 16, [700])
    q = torch.randn(1, 4, 16) * 1e4
    pieces = ends([1], [700], held)
    expected = reference.attention(q, cache.layers[0], Batch.of(pieces, cache), 0.25, None)
    torch.testing.assert_close(run(q, pieces, cache), expected, rtol=1e-5, atol=1e-5)
