"""Attention over latents against the reference, and the same bits in any company."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache
from tramontane_backend_cpu.eager import attend_latents
from tramontane_backend_cpu.kernels.attention import SPLIT
from tramontane_backend_cpu.step.pool import shared_pool

from .test_attention import KINDS, Piece, ends

LENGTHS, COUNTS = [1, 53, 2 * SPLIT + 40, SPLIT + 30], [1, 5, 1, 70]
SCALE = 0.2


class Latents(nn.Module):
    """One layer whose cache holds rotated keys and latents."""

    def __init__(self, turned: int, rank: int) -> None:
        super().__init__()
        layer = nn.Module()
        layer.index, layer.kv_heads, layer.d_head = 0, 1, turned  # type: ignore[assignment]
        layer.cached = (turned, rank)  # type: ignore[assignment]
        self.layer = layer


def filled(
    turned: int, rank: int, dtype: torch.dtype = torch.float32
) -> tuple[KVCache, list[Piece]]:  # fmt: skip
    """A cache with a sequence of each length, and the last tokens of each."""
    blocks = sum(-(-length // BLOCK_SIZE) for length in LENGTHS)
    cache = KVCache(Latents(turned, rank), blocks, dtype, torch.device("cpu"))
    layer = cache.layers[0]
    for tensor in layer.whole:  # what nobody wrote may be anything
        tensor.view(torch.uint8).fill_(255)
    held = []
    for length in LENGTHS:
        own = cache.take(-(-length // BLOCK_SIZE))[::-1]
        whole = Batch.of([(0, length, length, own, [])], cache)
        for tensor in layer.whole:
            tensor[own] = 0
        layer.store(whole.slots, torch.randn(length, 1, turned), torch.randn(length, 1, rank))
        held.append(own)
    return cache, ends(COUNTS, LENGTHS, held)


def run(
    asked: Tensor, turned: Tensor, cache: KVCache, pieces: list[Piece], threads: int = 2
) -> Tensor:
    batch = Batch.of(pieces, cache)
    return attend_latents(shared_pool(threads))(asked, turned, cache.layers[0], batch, SCALE)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize(
    ("heads", "turned", "rank"), [(1, 8, 16), (6, 12, 40), (70, 64, 128)]
)  # fmt: skip
def test_against_the_reference(heads: int, turned: int, rank: int, dtype: torch.dtype) -> None:
    cache, pieces = filled(turned, rank, dtype)
    asked = torch.randn(sum(COUNTS), heads, rank)
    rotated = torch.randn(sum(COUNTS), heads, turned)
    told = (cache.layers[0], Batch.of(pieces, cache), SCALE)
    expected = reference.latent_attention(asked.double(), rotated.double(), *told).float()
    # up to 192 products of a size near 0.2 each: float32 may be off by 1e-4 in a score
    torch.testing.assert_close(run(asked, rotated, cache, pieces), expected, rtol=1e-4, atol=1e-4)


def test_a_token_depends_on_its_own_sequence_only() -> None:
    cache, pieces = filled(16, 48)
    asked, rotated = torch.randn(sum(COUNTS), 10, 48), torch.randn(sum(COUNTS), 10, 16)
    together = run(asked, rotated, cache, pieces)
    parts = zip(
        asked.split(COUNTS), rotated.split(COUNTS), together.split(COUNTS), pieces, strict=True
    )
    for index, (mine, key, before, piece) in enumerate(parts):
        assert torch.equal(run(mine, key, cache, [piece], 1 + index % 3), before)
        start, count, length, blocks, wanted = piece
        last = (start + count - 1, 1, length, blocks, wanted)
        assert torch.equal(run(mine[-1:], key[-1:], cache, [last]), before[-1:])
