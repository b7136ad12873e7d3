"""Attention against the reference, and a token's bits alone and in company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.engine.kv_codes import INT4
from tramontane_backend_cuda import attention as host
from tramontane_backend_cuda import plan
from tramontane_backend_cuda.attention import Attend
from tramontane_backend_cuda.card import Card

from .conftest import FULL

LENGTHS, COUNTS = [1, 53, 170, 40], [1, 5, 1, 18]
"""With splits of 64 tokens: one, and three, which are four programs."""
SHAPES = [(4, 4, 8), (6, 2, 20), (7, 1, 64)] if FULL else [(6, 2, 20)]
KV_TYPES = [torch.float32, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, INT4]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "window": {"window": 9},
    "wide window": {"window": 100},
    "chunk": {"chunk": 48},
    "softcap": {"softcap": 2.0},
    "alibi": {"alibi": [0.1, 0.02, 0.3, 0.01, 0.2, 0.05, 0.4]},
    "sinks": {"sinks": torch.linspace(-2, 2, 7)},
}


class OneLayer(nn.Module):
    """What a cache asks of a model."""

    def __init__(self, kv_heads: int, cached: tuple[int, int], **options: Any) -> None:
        super().__init__()
        self.index, self.kv_heads, self.cached, self.d_head = 0, kv_heads, cached, cached[0]
        self.window, self.chunk = options.get("window"), options.get("chunk")


@pytest.fixture(autouse=True)
def _short_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SPLIT", 64)
    monkeypatch.setattr(host, "SPLIT", 64)
    monkeypatch.setattr(host, "STEP", 32)


def filled(
    kv_heads: int, cached: tuple[int, int], kv_type: torch.dtype, **options: Any
) -> tuple[KVCache, list[list[int]]]:
    """Random keys and values of sequences of LENGTHS, in blocks of falling order."""
    blocks = sum(-(-length // 16) for length in LENGTHS)
    model = OneLayer(kv_heads, cached, **options)
    cache = KVCache(model, blocks, kv_type, torch.device("cpu"))
    held = [cache.take(-(-length // 16))[::-1] for length in LENGTHS]
    random = torch.Generator().manual_seed(3)
    for length, own in zip(LENGTHS, held, strict=True):
        slots = Batch.of([(0, length, length, own, [])], cache).slots
        numbers = (torch.randn(length, kv_heads, d, generator=random) for d in cached)
        cache.layers[0].store(slots, *numbers)
    return cache, held


def pieces(held: Sequence[Sequence[int]], counts: Sequence[int] = COUNTS) -> list[Any]:
    return [
        (length - count, count, length, blocks, [count - 1])
        for length, count, blocks in zip(LENGTHS, counts, held, strict=True)
    ]


def close(got: Tensor, expected: Tensor) -> None:
    assert not expected.isnan().any()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kv_type", KV_TYPES, ids=str)
@pytest.mark.parametrize("named", OPTIONS if FULL else ["plain", "window"])
def test_every_cache(card: Card, named: str, kv_type: torch.dtype) -> None:
    compare(card, named, kv_type)


@pytest.mark.parametrize("named", [name for name in OPTIONS if name not in ("plain", "window")])
def test_every_option(card: Card, named: str) -> None:
    compare(card, named, torch.float16)


def compare(card: Card, named: str, kv_type: torch.dtype) -> None:
    for heads, kv_heads, d_head in SHAPES:
        options = dict(OPTIONS[named])
        cache, held = filled(kv_heads, (d_head, d_head), kv_type, **options)
        for name in ("alibi", "sinks"):
            if name in options:
                options[name] = options[name][:heads]
        window = options.pop("window", None)
        q, layer = torch.randn(sum(COUNTS), heads, d_head), cache.layers[0]
        got, expected = (
            kernel(q, layer, Batch.of(pieces(held), cache), 0.3, window, **options)
            for kernel in (Attend(card), reference.attention)
        )
        close(got, expected)


@pytest.mark.parametrize("kv_type", [torch.float16, torch.int8], ids=str)
def test_latents(card: Card, kv_type: torch.dtype) -> None:
    heads, rank, turned = 20, 40, 12
    cache, held = filled(1, (turned, rank), kv_type)
    asked, q = (torch.randn(sum(COUNTS), heads, d) for d in (rank, turned))
    got, expected = (
        kernel(asked, q, cache.layers[0], Batch.of(pieces(held), cache), 0.3)
        for kernel in (Attend(card).latents, reference.latent_attention)
    )
    close(got, expected)


@pytest.mark.parametrize("window", [None, 12])
def test_tokens_that_see_later_ones(card: Card, window: int | None) -> None:
    cache, held = filled(2, (16, 16), torch.float32, window=window)
    q = torch.randn(sum(COUNTS), 4, 16)
    results = []
    for kernel in (Attend(card), reference.attention):
        batch = Batch.of(pieces(held), cache)
        batch.spans[1].mutual = [(46, 53)]
        batch.spans[3].mutual = [(24, 31), (33, 40)]
        results.append(kernel(q, cache.layers[0], batch, 0.3, window))
    close(*results)


def test_a_head_wider_than_its_values(card: Card) -> None:
    cache, held = filled(2, (24, 12), torch.float16)
    q = torch.randn(sum(COUNTS), 4, 24)
    run = (q, cache.layers[0], Batch.of(pieces(held), cache), 0.3, None)
    close(Attend(card)(*run), reference.attention(*run))


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("named", ["plain", "window", "sinks"])
def test_a_token_has_the_same_bits_in_any_company(card: Card, named: str) -> None:
    """As one of a prompt and alone: tiles of other heights, and splits that are programs."""
    options = dict(OPTIONS[named])
    cache, held = filled(2, (16, 16), torch.float16, **options)
    if "sinks" in options:
        options["sinks"] = options["sinks"][:6]
    window = options.pop("window", None)
    q, attend = torch.randn(sum(COUNTS), 6, 16), Attend(card)
    whole = Batch.of(pieces(held), cache)
    together = attend(q, cache.layers[0], whole, 0.3, window, **options)
    for span in whole.spans:
        for offset in range(0, span.count, 7):
            position = span.length - span.count + offset
            piece = (position, 1, position + 1, span.blocks, [0])
            row = span.start + offset
            batch = Batch.of([piece], cache)
            own = attend(q[row : row + 1], cache.layers[0], batch, 0.3, window, **options)
            assert torch.equal(own[0], together[row])
