"""Attention with capped scores, sinks and chunks, against plain torch in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane_backend_cpu.kernels.attention import SPLIT
from tramontane_backend_cpu.step import interpreter
from tramontane_backend_cpu.step.graph import TOKENS, Node, Ref, Value
from tramontane_backend_cpu.step.inputs import Inputs
from tramontane_backend_cpu.step.lower import lower, table
from tramontane_backend_cpu.step.memory import Buffers
from tramontane_backend_cpu.step.pool import shared_pool

from .test_attention import Piece, ends, filled

SHAPES = [(4, 4, 8), (6, 2, 20), (8, 1, 64)]
LENGTHS, COUNTS = [1, 53, 2 * SPLIT + 40, SPLIT + 30], [1, 5, 1, 70]
SCALE = 0.3
# A score adds up to 64 products whose sizes sum to about 37 here, so float32 may be off by
# 64 * 37 / 2**24 = 1.4e-4 in it; what errors were seen are a tenth of that.
CLOSE = {"rtol": 1e-5, "atol": 1e-4}


def run(
    q: Tensor, pieces: list[Piece], cache: KVCache, threads: int = 2, **options: object
) -> Tensor:
    """The step's two attention kernels, as `step/program.py` binds them."""
    batch, (tokens, heads, d_key) = Batch.of(pieces, cache), q.shape
    d_value = cache.layers[0].d_value
    queries, mixed = Value(TOKENS, heads * d_key), Value(TOKENS, heads * d_value)
    buffers = Buffers({queries: 0, mixed: 1}, tokens, 0)
    inputs = Inputs(cache, tokens, len(batch.wanted), threads)
    about = {"layer": 0, "scale": SCALE, **options}
    whole = (Ref(queries, 0, queries.width),)
    done = [
        lower(Node(name, whole, mixed, about), buffers, inputs)
        for name in ("attention", "merge_splits")
    ]
    inputs.write(batch.numbers.positions, batch)
    buffers.floats(queries)[:] = q.flatten(1).numpy()
    phases = np.array([(interpreter.JOBS, i, 1, 0) for i in range(2)], np.int64)
    pool = shared_pool(threads)
    pool.run(pool.step(phases, table(done), inputs.counts))
    return torch.from_numpy(buffers.floats(mixed).copy()).view(tokens, heads, d_value)


def expected(
    q: Tensor, pieces: list[Piece], cache: KVCache, window: int | None = None,
    softcap: float | None = None, sinks: Tensor | None = None, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Softmax over the scores a token sees, and over one score more for the sink."""
    parts = []
    for span in Batch.of(pieces, cache).spans:
        keys, values = cache.layers[0].gather(span.blocks, span.length)
        groups = q.shape[1] // keys.shape[1]
        keys, values = (each.double().repeat_interleave(groups, 1) for each in (keys, values))
        mine = q[span.start : span.start + span.count].double()
        scores = torch.einsum("qhd,khd->hqk", mine, keys) * SCALE
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        place = torch.arange(span.length - span.count, span.length)[:, None]
        column = torch.arange(span.length)
        hidden = column > place
        if window is not None:
            hidden |= column <= place - window
        if chunk is not None:
            hidden |= column // chunk < place // chunk
        scores = scores.masked_fill(hidden, float("-inf"))
        if sinks is not None:
            more = sinks.double()[:, None, None].expand(-1, span.count, 1)
            scores = torch.cat((scores, more), 2)
        weights = scores.softmax(2)[:, :, : span.length]
        parts.append(torch.einsum("hqk,khd->qhd", weights, values))
    return torch.cat(parts).float()


@pytest.mark.parametrize("window", [None, 9, 700])
@pytest.mark.parametrize("softcap", [1.0, 50.0])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), SHAPES)
def test_capped_scores(
    heads: int, kv_heads: int, d_head: int, softcap: float, window: int | None
) -> None:
    cache, held = filled(kv_heads, d_head, LENGTHS)
    pieces = ends(COUNTS, LENGTHS, held)
    q = torch.randn(sum(COUNTS), heads, d_head) * 3
    wanted = expected(q, pieces, cache, window, softcap)
    out = run(q, pieces, cache, window=window, softcap=softcap)
    torch.testing.assert_close(out, wanted, **CLOSE)
    uncapped = expected(q, pieces, cache, window)
    assert not torch.allclose(out, uncapped, atol=1e-3), "the cap made no difference"


@pytest.mark.parametrize("window", [None, 9, 700])
@pytest.mark.parametrize("size", [1.0, 30.0])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), SHAPES)
def test_sinks(heads: int, kv_heads: int, d_head: int, size: float, window: int | None) -> None:
    """Some far above all scores, some far below: the weights that are left go from 0 to 1."""
    cache, held = filled(kv_heads, d_head, LENGTHS)
    pieces = ends(COUNTS, LENGTHS, held)
    q = torch.randn(sum(COUNTS), heads, d_head)
    sinks = torch.linspace(-size, size, heads)
    wanted = expected(q, pieces, cache, window, None, sinks)
    out = run(q, pieces, cache, window=window, sinks=sinks)
    torch.testing.assert_close(out, wanted, **CLOSE)
    without = expected(q, pieces, cache, window)
    assert not torch.allclose(out, without, atol=1e-3), "the sinks made no difference"


@pytest.mark.parametrize("chunk", [1, 7, 16, 53, SPLIT, SPLIT + 9, 700])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), SHAPES)
def test_chunks(heads: int, kv_heads: int, d_head: int, chunk: int) -> None:
    """A token alone in its chunk, chunks that end within a tile of queries, a block and a split."""
    cache, held = filled(kv_heads, d_head, LENGTHS)
    pieces = ends(COUNTS, LENGTHS, held)
    q = torch.randn(sum(COUNTS), heads, d_head)
    together = run(q, pieces, cache, chunk=chunk)
    torch.testing.assert_close(together, expected(q, pieces, cache, chunk=chunk), **CLOSE)
    parts = zip(q.split(COUNTS), together.split(COUNTS), pieces, strict=True)
    for index, (mine, before, piece) in enumerate(parts):
        assert torch.equal(run(mine, [piece], cache, 1 + index % 3, chunk=chunk), before)


def test_both_and_nothing_but_the_sequence_itself_matters() -> None:
    """The same bits alone and in company, on any number of threads."""
    cache, held = filled(2, 32, LENGTHS)
    q = torch.randn(sum(COUNTS), 6, 32)
    options = {"softcap": 20.0, "sinks": torch.linspace(-2, 2, 6)}
    pieces = ends(COUNTS, LENGTHS, held)
    together = run(q, pieces, cache, **options)
    wanted = expected(q, pieces, cache, None, 20.0, options["sinks"])  # type: ignore[arg-type]
    torch.testing.assert_close(together, wanted, **CLOSE)
    parts = zip(q.split(COUNTS), together.split(COUNTS), pieces, strict=True)
    for index, (mine, before, piece) in enumerate(parts):
        assert torch.equal(run(mine, [piece], cache, 1 + index % 3, **options), before)
