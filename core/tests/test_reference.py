"""The reference operations against the plainest possible way to compute the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache, bytes_per_token
from tramontane.errors import NotEnoughMemory
from tramontane.layouts import Affine, Dense, pack

HEADS, KV_HEADS, D_HEAD = 6, 2, 10


class Caches(nn.Module):
    """What a cache looks for in a model: one layer."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Module()
        layer.index, layer.kv_heads, layer.d_head = 0, KV_HEADS, D_HEAD  # type: ignore[assignment]
        self.layer = layer


def cache_of(blocks: int) -> KVCache:
    return KVCache(Caches(), blocks, torch.float32, torch.device("cpu"))


@pytest.mark.parametrize("limit", [1 << 24, 64 * 5, 64])
def test_packed_linear_is_decode_then_multiply(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CHUNK", limit)
    codes = torch.randint(0, 16, (33, 64))
    weight = Affine(4, 32, pack(codes, 4), torch.randn(33, 2).half(), zero=8)
    x = torch.randn(5, 64)
    # sums of 64 products of about 10, in another order
    torch.testing.assert_close(
        reference.linear(x, weight), x @ weight.decode().T, rtol=1e-5, atol=1e-3
    )
    rows = torch.tensor([3, 3, 32])
    assert torch.equal(reference.embedding(rows, weight, torch.float32), weight.decode()[rows])


def test_dense_linear_computes_in_the_inputs_dtype() -> None:
    weight = torch.randn(7, 16, dtype=torch.bfloat16)
    x = torch.randn(3, 16)
    out = reference.linear(x, Dense(weight))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, x @ weight.float().T)


def naive(q: Tensor, k: Tensor, v: Tensor, window: int | None) -> Tensor:
    """One sequence, one head and one position at a time."""
    out = torch.zeros(len(q), HEADS, D_HEAD)
    offset = len(k) - len(q)
    for i in range(len(q)):
        first = 0 if window is None else max(0, offset + i - window + 1)
        for h in range(HEADS):
            group = h // (HEADS // KV_HEADS)
            keys, values = k[first : offset + i + 1, group], v[first : offset + i + 1, group]
            weights = ((keys @ q[i, h]) / math.sqrt(D_HEAD)).softmax(0)
            out[i, h] = weights @ values
    return out


@pytest.mark.parametrize("window", [None, 1, 5, 100])
def test_attention(window: int | None) -> None:
    lengths, counts = [1, 37, 20, 16], [1, 37, 3, 1]
    cache = cache_of(8)
    held = [cache.take(-(-length // BLOCK_SIZE))[::-1] for length in lengths]
    queries, expected, pieces = [], [], []
    for length, count, blocks in zip(lengths, counts, held, strict=True):
        k, v = torch.randn(length, KV_HEADS, D_HEAD), torch.randn(length, KV_HEADS, D_HEAD)
        q = torch.randn(count, HEADS, D_HEAD)
        whole = Batch.of([(0, length, length, blocks, [])], cache)
        cache.layers[0].store(whole.slots, k, v)
        pieces.append((length - count, count, length, blocks, range(count)))
        queries.append(q)
        expected.append(naive(q, k, v, window))
    batch = Batch.of(pieces, cache)
    out = reference.attention(torch.cat(queries), cache.layers[0], batch, D_HEAD**-0.5, window)
    torch.testing.assert_close(out, torch.cat(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"softcap": 2.0}, {"alibi": [2.0**-i for i in range(1, 7)]}]
)
def test_sinks_are_one_more_column_of_the_softmax(options: dict[str, Any]) -> None:
    """softmax over [scores, sink], whose last column is dropped, as gpt-oss has it."""
    cache, length, window = cache_of(2), 18, 7
    blocks = cache.take(2)
    k, v = torch.randn(2, length, KV_HEADS, D_HEAD)
    q, sinks = torch.randn(length, HEADS, D_HEAD), torch.linspace(-4, 4, HEADS)
    batch = Batch.of([(0, length, length, blocks, [])], cache)
    cache.layers[0].store(batch.slots, k, v)
    keys, values = (each.repeat_interleave(HEADS // KV_HEADS, 1).double() for each in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q.double(), keys) / math.sqrt(D_HEAD)
    if cap := options.get("softcap"):
        scores = cap * torch.tanh(scores / cap)
    distance = torch.arange(length)[:, None] - torch.arange(length)
    if slopes := options.get("alibi"):
        scores -= torch.tensor(slopes, dtype=torch.float64)[:, None, None] * distance
    powers = scores.masked_fill((distance < 0) | (distance >= window), float("-inf")).exp()
    total = powers.sum(-1, keepdim=True) + sinks.double().exp()[:, None, None]
    expected = torch.einsum("hqk,khd->qhd", powers / total, values).float()
    layer, scale = cache.layers[0], D_HEAD**-0.5
    out = reference.attention(q, layer, batch, scale, window, **options, sinks=sinks)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_blocks_are_counted() -> None:
    cache = cache_of(4)
    first, second = cache.take(3), cache.take(1)
    assert sorted([*first, *second]) == [0, 1, 2, 3]
    with pytest.raises(NotEnoughMemory, match="0 free blocks, 2 are needed"):
        cache.take(2)
    cache.give_back(first)
    assert cache.free == 3
    assert bytes_per_token(Caches(), torch.float16) == 2 * KV_HEADS * D_HEAD * 2


def test_batch_places_tokens_and_wants_rows() -> None:
    cache = cache_of(4)
    batch = Batch.of([(15, 3, 20, [2, 0], [2]), (0, 2, 2, [3], [0, 1])], cache)
    assert batch.positions.tolist() == [15, 16, 17, 0, 1]
    assert batch.extents.tolist() == [20, 20, 20, 2, 2]
    assert batch.slots.tolist() == [2 * 16 + 15, 0, 1, 48, 49]
    assert batch.wanted.tolist() == [2, 3, 4]
    assert [(s.start, s.count, s.length) for s in batch.spans] == [(0, 3, 18), (3, 2, 2)]
