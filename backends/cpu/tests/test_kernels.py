"""Every kernel against the reference, over shapes and layouts that are convenient for nothing."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache
from tramontane.layouts import PLANES, Affine, Dense, pack
from tramontane_backend_cpu import attention, linear
from tramontane_backend_cpu.running import set_threads

SHAPES = [(1, 128), (7, 256), (33, 384), (300, 512)]
KINDS = [(1, "zero"), (1, "min"), (1, "none"), (2, "zero"), (2, "min"), (2, "none")]
# every kind once, every width and every group with the simplest and the fullest kind: each
# combination is compiled, so the whole product would take minutes
CASES = [(4, 32, *kind) for kind in KINDS] + [
    (bits, group, *kind)
    for bits, group in [(2, 16), (3, 16), (4, 16), (4, 64), (4, 128), (5, 32), (6, 16), (8, 32)]
    for kind in [(1, "zero"), (2, "min")]
]


def affine(
    bits: int, group: int, levels: int, offset: str, shape: tuple[int, int], scale: float = 1.0
) -> Affine:
    rows, columns = shape
    random = torch.Generator().manual_seed(bits * group + levels + rows)
    codes = torch.randint(0, 1 << bits, shape, generator=random)
    groups = columns // group
    scales = (torch.randn(rows, groups, generator=random) * scale).half()
    minimum = torch.randn(rows, groups, generator=random).half() if offset == "min" else None
    super_scale = super_minimum = None
    if levels == 2:
        scales = torch.randint(-32, 32, (rows, groups), generator=random).to(torch.int8)
        super_scale = torch.randn(rows, 1, generator=random).half()
        if minimum is not None:
            minimum = torch.randint(0, 64, (rows, groups), generator=random).to(torch.uint8)
            super_minimum = torch.randn(rows, 1, generator=random).half()
    zero = 1 << (bits - 1) if offset == "zero" else 0
    planes = pack(codes, bits)
    return Affine(bits, group, planes, scales, zero, minimum, super_scale, super_minimum)


def bound(x: Tensor, weight: Tensor) -> Tensor:
    """What rounding may do to a sum of products in float32, per output: (terms + 4) * eps times
    the sum of what the terms' parts come to, code and offset counted apart."""
    eps = torch.finfo(torch.float32).eps
    return (x.shape[1] + 4) * eps * 8 * (x.double().abs() @ weight.double().abs().T + 1e-6)


def check(out: Tensor, x: Tensor, weight: Affine) -> None:
    decoded = weight.decode().double()
    spread = weight.decode().abs().amax(1).double().expand(x.shape[1], -1).T
    expected = x.double() @ decoded.T
    assert ((out.double() - expected).abs() <= bound(x, spread)).all()


@pytest.mark.parametrize(("bits", "group", "levels", "offset"), CASES)
def test_affine_linear(bits: int, group: int, levels: int, offset: str) -> None:
    for shape in SHAPES:
        weight = affine(bits, group, levels, offset, shape)
        for tokens in (1, 3):
            x = torch.randn(tokens, shape[1])
            check(linear.affine_linear(x, weight), x, weight)


@pytest.mark.parametrize("bits", sorted(PLANES))
def test_many_tokens_are_multiplied_by_decoded_tiles(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "TILE", 256 * 3)
    weight = affine(bits, 32, 1, "zero", (10, 256))
    x = torch.randn(linear.MANY + 1, 256)
    check(linear.affine_linear(x, weight), x, weight)
    half = linear.affine_linear(x.bfloat16(), weight)
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("scale", [0.0, 1e-7, 3e4])
def test_extreme_scales(scale: float) -> None:
    weight = affine(4, 32, 1, "zero", (5, 128), scale)
    x = torch.randn(2, 128)
    check(linear.affine_linear(x, weight), x, weight)


@pytest.mark.parametrize("bits", sorted(PLANES))
def test_embedding_rows_are_exact(bits: int) -> None:
    weight = affine(bits, 16, 2, "min", (50, 128))
    tokens = torch.tensor([0, 49, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    torch.testing.assert_close(
        linear.affine_embedding(tokens, weight, torch.float32), expected, rtol=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dense_linear(dtype: torch.dtype) -> None:
    for rows, columns in [(1, 5), (13, 77), (300, 512)]:
        weight = Dense(torch.randn(rows, columns).to(dtype))
        x = torch.randn(3, columns)
        expected = x.double() @ weight.data.double().T
        out = linear.dense_linear(x, weight)
        assert ((out.double() - expected).abs() <= bound(x, weight.data)).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_does_not_depend_on_the_batch(threads: int) -> None:
    used = set_threads(threads)
    assert used <= threads
    weight = affine(4, 32, 2, "min", (67, 512))
    x = torch.randn(linear.MANY - 1, 512)
    together = linear.affine_linear(x, weight)
    for row in range(len(x)):
        assert torch.equal(linear.affine_linear(x[row : row + 1], weight)[0], together[row])
    set_threads(2)
    assert torch.equal(linear.affine_linear(x, weight), together)


def test_rows_that_are_not_contiguous() -> None:
    weight = affine(4, 32, 1, "zero", (9, 128))
    x = torch.randn(128, 3).T
    check(linear.affine_linear(x, weight), x, weight)


class Caches(nn.Module):
    def __init__(self, kv_heads: int, d_head: int) -> None:
        super().__init__()
        layer = nn.Module()
        layer.index, layer.kv_heads, layer.d_head = 0, kv_heads, d_head  # type: ignore[assignment]
        self.layer = layer


@pytest.mark.parametrize("window", [None, 1, 9])
@pytest.mark.parametrize(("heads", "kv_heads", "d_head"), [(4, 4, 8), (6, 2, 20), (8, 1, 64)])
def test_attention_of_new_tokens(
    heads: int, kv_heads: int, d_head: int, window: int | None
) -> None:
    lengths = [1, 16, 53]
    cache = KVCache(Caches(kv_heads, d_head), 12, torch.float32, torch.device("cpu"))
    for tensor in (cache.layers[0].keys, cache.layers[0].values):
        tensor.fill_(torch.nan)  # what was never written must not be read
    held = [cache.take(-(-length // BLOCK_SIZE))[::-1] for length in lengths]
    for length, blocks in zip(lengths, held, strict=True):
        whole = Batch.of([(0, length, length, blocks, [])], cache)
        k, v = torch.randn(length, kv_heads, d_head), torch.randn(length, kv_heads, d_head)
        cache.layers[0].store(whole.slots, k, v)
    pieces = [(n - 1, 1, n, blocks, [0]) for n, blocks in zip(lengths, held, strict=True)]
    q = torch.randn(len(lengths), heads, d_head)
    batch = Batch.of(pieces, cache)
    arguments = (cache.layers[0], batch, d_head**-0.5, window)
    out = attention.attention(q, *arguments)
    torch.testing.assert_close(out, reference.attention(q, *arguments), rtol=1e-5, atol=1e-5)
    alone = Batch.of(pieces[2:], cache)
    assert torch.equal(attention.attention(q[2:], arguments[0], alone, *arguments[2:])[0], out[2])


def test_attention_of_new_tokens_beside_a_prompt() -> None:
    cache = KVCache(Caches(2, 8), 12, torch.float32, torch.device("cpu"))
    counts, lengths = [5, 1, 20, 1], [37, 12, 20, 33]
    held = [cache.take(-(-length // BLOCK_SIZE))[::-1] for length in lengths]
    pieces = []
    for count, length, blocks in zip(counts, lengths, held, strict=True):
        whole = Batch.of([(0, length, length, blocks, [])], cache)
        cache.layers[0].store(whole.slots, torch.randn(length, 2, 8), torch.randn(length, 2, 8))
        pieces.append((length - count, count, length, blocks, [0]))
    q = torch.randn(sum(counts), 4, 8)
    arguments = (cache.layers[0], Batch.of(pieces, cache), 8**-0.5, None)
    out = attention.attention(q, *arguments)
    torch.testing.assert_close(out, reference.attention(q, *arguments), rtol=1e-5, atol=1e-5)
    alone = Batch.of([pieces[1]], cache)
    (row,) = attention.attention(q[5:6], arguments[0], alone, 8**-0.5, None)
    assert torch.equal(row, out[5]), "a new token's row does not depend on a prompt beside it"


def test_two_threads_at_once() -> None:
    weight = affine(8, 32, 1, "zero", (300, 512))
    inputs = [torch.randn(1, 512) for _ in range(8)]
    expected = [linear.affine_linear(x, weight) for x in inputs]
    wrong = []

    def work(index: int) -> None:
        for _ in range(50):
            if not torch.equal(linear.affine_linear(inputs[index], weight), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
