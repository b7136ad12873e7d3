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
from tramontane_backend_opencl.attention import Attend
from tramontane_backend_opencl.memory import OpenclDevice

from .conftest import FULL

LENGTHS, COUNTS = [1, 53, 170, 40], [1, 5, 1, 18]
SPLIT = 64
"""So that contexts have one split, and three."""
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
CPU = torch.device("cpu")


class OneLayer(nn.Module):
    """What a cache asks of a model."""

    def __init__(self, kv_heads: int, cached: tuple[int, int], **options: Any) -> None:
        super().__init__()
        self.index, self.kv_heads, self.cached, self.d_head = 0, kv_heads, cached, cached[0]
        self.window, self.chunk = options.get("window"), options.get("chunk")


def filled(
    where: torch.device, kv_heads: int, cached: tuple[int, int], kv_type: torch.dtype, **more: Any
) -> tuple[KVCache, list[list[int]]]:
    """Random keys and values of sequences of LENGTHS, in blocks of falling order."""
    blocks = sum(-(-length // 16) for length in LENGTHS)
    cache = KVCache(OneLayer(kv_heads, cached, **more), blocks, kv_type, where)
    held = [cache.take(-(-length // 16))[::-1] for length in LENGTHS]
    random = torch.Generator().manual_seed(3)
    for length, own in zip(LENGTHS, held, strict=True):
        slots = Batch.of([(0, length, length, own, [])], cache).slots
        numbers = (torch.randn(length, kv_heads, d, generator=random).to(where) for d in cached)
        cache.layers[0].store(slots, *numbers)
    return cache, held


def pieces(held: Sequence[Sequence[int]], counts: Sequence[int] = COUNTS) -> list[Any]:
    return [
        (length - count, count, length, blocks, [count - 1])
        for length, count, blocks in zip(LENGTHS, counts, held, strict=True)
    ]


def close(got: Tensor, expected: Tensor) -> None:
    assert not expected.isnan().any()
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kv_type", KV_TYPES, ids=str)
@pytest.mark.parametrize("named", OPTIONS if FULL else ["plain"])
def test_every_cache(
    device: OpenclDevice, where: torch.device, named: str, kv_type: torch.dtype
) -> None:
    compare(device, where, named, kv_type)


@pytest.mark.parametrize("named", [name for name in OPTIONS if name != "plain"])
def test_every_option(device: OpenclDevice, where: torch.device, named: str) -> None:
    compare(device, where, named, torch.float16)


def compare(device: OpenclDevice, where: torch.device, named: str, kv_type: torch.dtype) -> None:
    for heads, kv_heads, d_head in SHAPES:
        options = dict(OPTIONS[named])
        for name in ("alibi", "sinks"):
            if name in options:
                options[name] = options[name][:heads]
        window = options.pop("window", None)
        q, results = torch.randn(sum(COUNTS), heads, d_head), []
        for at in (CPU, where):
            cache, held = filled(at, kv_heads, (d_head, d_head), kv_type, **OPTIONS[named])
            kernel: Any = reference.attention if at == CPU else Attend(device, SPLIT)
            there = {k: v.to(at) if isinstance(v, Tensor) else v for k, v in options.items()}
            batch = Batch.of(pieces(held), cache)
            results.append(kernel(q.to(at), cache.layers[0], batch, 0.3, window, **there))
        close(results[1], results[0])


@pytest.mark.parametrize("kv_type", [torch.float16, torch.int8], ids=str)
def test_latents(device: OpenclDevice, where: torch.device, kv_type: torch.dtype) -> None:
    heads, rank, turned, results = 20, 40, 12, []
    asked, q = (torch.randn(sum(COUNTS), heads, d) for d in (rank, turned))
    for at in (CPU, where):
        cache, held = filled(at, 1, (turned, rank), kv_type)
        kernel: Any = reference.latent_attention if at == CPU else Attend(device, SPLIT).latents
        batch = Batch.of(pieces(held), cache)
        results.append(kernel(asked.to(at), q.to(at), cache.layers[0], batch, 0.3))
    close(results[1], results[0])


def test_tokens_that_see_later_ones(device: OpenclDevice, where: torch.device) -> None:
    q, results = torch.randn(sum(COUNTS), 4, 16), []
    for at in (CPU, where):
        cache, held = filled(at, 2, (16, 16), torch.float32, window=12)
        batch = Batch.of(pieces(held), cache)
        batch.spans[1].mutual = [(46, 53)]
        batch.spans[3].mutual = [(24, 31), (33, 40)]
        kernel: Any = reference.attention if at == CPU else Attend(device, SPLIT)
        results.append(kernel(q.to(at), cache.layers[0], batch, 0.3, 12))
    close(results[1], results[0])


@pytest.mark.parametrize("named", ["plain", "window", "sinks"] if FULL else ["sinks"])
def test_a_token_has_the_same_bits_in_any_company(
    device: OpenclDevice, where: torch.device, named: str
) -> None:
    """As one of a prompt and alone, where splits are work groups of their own."""
    options = dict(OPTIONS[named])
    cache, held = filled(where, 2, (16, 16), torch.float16, **options)
    if "sinks" in options:
        options["sinks"] = options["sinks"][:6].to(where)
    window = options.pop("window", None)
    q, attend = torch.randn(sum(COUNTS), 6, 16).to(where), Attend(device, SPLIT)
    whole = Batch.of(pieces(held), cache)
    together = attend(q, cache.layers[0], whole, 0.3, window, **options).cpu()
    for span in whole.spans:
        for offset in range(0, span.count, 7):
            position = span.length - span.count + offset
            batch = Batch.of([(position, 1, position + 1, span.blocks, [0])], cache)
            row = span.start + offset
            own = attend(q[row : row + 1], cache.layers[0], batch, 0.3, window, **options).cpu()
            assert torch.equal(own[0], together[row])
