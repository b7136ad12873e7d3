"""Keys and values in 8 and 4 bits: what comes back, what cannot, and what of it a cache keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from torch import Tensor, nn
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache, bytes_per_token, kept_width, slots_of
from tramontane.engine.kv_codes import CODES, GROUP, dequantize, groups_of
from tramontane.engine.kv_floats import FLOATS8, encode
from tramontane.engine.sliding_window import Pages

CPU = torch.device("cpu")
WIDTHS = [1, 10, 16, 32, 33, 64, 80, 96, 112, 128, 256]
LARGEST = torch.finfo(torch.float32).max


CODES8 = CODES[torch.int8]
quantize, joined, parted = CODES8.quantize, CODES8.joined, CODES8.parted


def steps(numbers: Tensor) -> Tensor:
    """What a code is worth at most, for each number: rounding a scale adds 1 in 256 at most."""
    parts = numbers.float().abs().split(GROUP, -1)
    peaks = torch.cat([part.amax(-1, keepdim=True).expand_as(part) for part in parts], -1)
    return peaks.double() / 127 * (1 + 2**-8)


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e5, 1e30])
@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_come_back_off_by_half_a_step(width: int, size: float) -> None:
    numbers = torch.randn(7, 3, width) * size
    numbers[0, 0] = 0
    codes, scales = quantize(numbers)
    assert (codes.dtype, scales.dtype) == (torch.int8, torch.bfloat16)
    assert (codes.shape, scales.shape) == ((7, 3, width), (7, 3, groups_of(width)))
    back = dequantize(codes, scales)
    # products of float32 decide which of two codes is nearer, and miss by 2**-22 of 127 steps
    bound = steps(numbers) * (0.5 + 127 * 2**-22)
    assert ((back.double() - numbers.double()).abs() <= bound).all()
    assert not back[0, 0].any()
    again = quantize(back)
    assert torch.equal(again[0], codes)
    assert torch.equal(again[1], scales)


def test_codes_are_the_nearest_ties_to_even() -> None:
    numbers = torch.tensor([127.0, 0.5, 1.5, -0.5, -2.5, 2.4999, -127.0])
    codes, scales = quantize(numbers)
    assert scales.tolist() == [1.0]
    assert codes.tolist() == [127, 0, 2, 0, -2, 2, -127]


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("width", WIDTHS)
def test_four_bits_come_back_off_by_half_a_step_or_a_whole_one(width: int, size: float) -> None:
    codes4 = CODES[torch.uint4]
    numbers = torch.randn(7, 3, width) * size
    numbers[0, 0] = 0
    codes, scales = codes4.quantize(numbers)
    assert (int(codes.min()), int(codes.max())) >= (-8, -8)
    assert int(codes.max()) <= 7
    back, step = dequantize(codes, scales), steps(numbers) * 127 / 8
    bound = torch.where(codes == 7, 1.04, 0.5) * step * (1 + 2**-8)
    assert ((back.double() - numbers.double()).abs() <= bound).all()
    assert not back[0, 0].any()
    stored = codes4.joined(codes, scales)
    assert stored.shape[-1] == codes4.kept_width(width)
    found = codes4.parted(stored, width)
    assert torch.equal(found[0], codes)
    assert torch.equal(found[1], scales)


def test_four_bits_are_as_near_as_an_independent_kind() -> None:
    """GGUF's Q4_0 also gives -8 to the largest of 32 numbers."""
    numbers = torch.randn(20_000, 64)
    theirs = quants.dequantize(quants.quantize(numbers.numpy(), Type.Q4_0), Type.Q4_0)
    mine = dequantize(*CODES[torch.uint4].quantize(numbers)).numpy()
    off = [np.square(each - numbers.numpy()).mean() for each in (mine, theirs)]
    assert off[0] < off[1] * (1 + 2**-8) ** 2


@pytest.mark.parametrize("kind", CODES, ids=str)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_spoils_its_group_and_no_other(bad: float, kind: torch.dtype) -> None:
    numbers = torch.randn(5, 80)
    numbers[2, 40] = bad
    back = dequantize(*CODES[kind].quantize(numbers))
    assert back[2, 32:64].isnan().all()
    back[2, 32:64] = 0
    assert back.isfinite().all()


def test_the_largest_and_the_smallest_numbers() -> None:
    large = torch.tensor([LARGEST, -LARGEST, 1.0])
    assert dequantize(*quantize(large)).isfinite().all()
    small = torch.tensor([1e-36, -1e-40, 0.0])
    assert not dequantize(*quantize(small)).any()


@pytest.mark.parametrize("width", [32, 64, 128])
def test_as_near_as_an_independent_kind_of_eight_bits(width: int) -> None:
    """GGUF's Q8_0 also has a scale for each 32 numbers, in half precision."""
    numbers = torch.randn(20_000, width)
    theirs = quants.dequantize(quants.quantize(numbers.numpy(), Type.Q8_0), Type.Q8_0)
    mine = dequantize(*quantize(numbers)).numpy()
    off = [np.square(each - numbers.numpy()).mean() for each in (mine, theirs)]
    # steps are 1 in 256 larger at most, and errors go with their square; a half's eleven bits give
    # back the largest of 32 numbers nearly as it was, a bfloat16's eight do not
    assert off[0] < off[1] * (1 + 2**-8) ** 2 * 32 / 31
    assert np.abs(mine - theirs).max() <= steps(numbers).max() * 1.01


class Layers(nn.Module):
    """Two layers, one of which sees a window."""

    def __init__(self, kv_heads: int, d_key: int, d_value: int, window: int | None = None) -> None:
        super().__init__()
        for index in range(2):
            layer = nn.Module()
            layer.index, layer.kv_heads = index, kv_heads  # type: ignore[assignment]
            layer.cached = (d_key, d_value)  # type: ignore[assignment]
            layer.d_head, layer.window = d_key, window if index else None  # type: ignore[assignment]
            self.add_module(str(index), layer)


@pytest.mark.parametrize("kind", CODES, ids=str)
@pytest.mark.parametrize(("d_key", "d_value"), [(64, 64), (80, 80), (10, 33), (8, 40)])
def test_a_cache_gives_back_what_codes_can_say(d_key: int, d_value: int, kind: torch.dtype) -> None:
    quantize, joined, parted = CODES[kind].quantize, CODES[kind].joined, CODES[kind].parted
    cache = KVCache(Layers(2, d_key, d_value), 6, kind, CPU)
    blocks = [4, 1, 3]
    keys, values = torch.randn(40, 2, d_key), torch.randn(40, 2, d_value)
    for layer in cache.layers.values():
        layer.store(slots_of(blocks, 40, CPU), keys, values)
        for found, told in zip(layer.gather(blocks, 40), (keys, values), strict=True):
            assert found.dtype == torch.float32
            assert torch.equal(found, dequantize(*quantize(told)))
        kept = layer.take_out(blocks, 40)
        assert [each.shape[-1] for each in kept] == [
            kept_width(d_key, kind), kept_width(d_value, kind),
        ]  # fmt: skip
        assert torch.equal(kept[0], joined(*quantize(keys)))
        assert torch.equal(parted(kept[1], d_value)[1], quantize(values)[1])
        layer.put_back(slots_of([0, 2, 5], 40, CPU), *kept)
        assert torch.equal(layer.gather([0, 2, 5], 40)[1], layer.gather(blocks, 40)[1])
    cache.copy(1, 0)
    copied = cache.layers[1].gather([0], 16)
    assert torch.equal(copied[0], dequantize(*quantize(keys[16:32])))


def test_blocks_without_a_page_read_as_zeros() -> None:
    cache = KVCache(Layers(1, 32, 32, window=20), 8, torch.int8, CPU)
    layer = cache.layers[1]
    assert isinstance(layer.pages, Pages)
    for found in layer.gather([3], BLOCK_SIZE):
        assert not found.any()


@pytest.mark.parametrize(("d_key", "d_value"), [(64, 64), (80, 112), (10, 33), (8, 40)])
def test_bytes_are_those_of_the_memory(d_key: int, d_value: int) -> None:
    model = Layers(3, d_key, d_value)
    for dtype in (torch.float32, torch.float16, *FLOATS8, *CODES):
        cache = KVCache(model, 4, dtype, CPU)
        taken = sum(tensor.nbytes for layer in cache.layers.values() for tensor in layer.whole)
        assert taken == 4 * BLOCK_SIZE * bytes_per_token(model, dtype)


@pytest.mark.parametrize("d_head", [16, 64, 112])
def test_attention_is_off_by_what_half_a_step_can_do(d_head: int) -> None:
    """In double precision: scores are off by e, so weights by a factor of exp(2 e) at most."""
    length, heads, count = 60, 2, 20
    floats = KVCache(Layers(heads, d_head, d_head), 4, torch.float32, CPU)
    codes = KVCache(Layers(heads, d_head, d_head), 4, torch.int8, CPU)
    keys, values, q = (torch.randn(n, heads, d_head) for n in (length, length, count))
    found = []
    for cache in (floats, codes):
        blocks = [2, 0, 3, 1]
        cache.layers[0].store(slots_of(blocks, length, CPU), keys, values)
        batch = Batch.of([(length - count, count, length, blocks, [])], cache)
        told = (cache.layers[0], batch, d_head**-0.5, None)
        found.append(reference.attention(q.double(), *told))
    half = 0.5 + 127 * 2**-22
    off_key, off_q, off_value = (steps(each) * half for each in (keys, q, values))
    size = q.double().abs() + off_q
    by_key = torch.einsum("qhd,khd->hqk", size, off_key)
    by_query = torch.einsum("qhd,khd->hqk", off_q, keys.double().abs())
    error = ((by_key + by_query).amax(-1) * d_head**-0.5).T[..., None]  # (count, heads, 1)
    largest = values.double().abs().amax((0, 2))[:, None] + off_value.amax((0, 2))[:, None]
    bound = (torch.exp(2 * error) - 1) * largest + off_value.amax(0)
    off = (found[1] - found[0]).abs()
    assert (off <= bound).all()
    assert off.max() > 0


@pytest.mark.parametrize("kind", FLOATS8, ids=str)
def test_floats_of_a_byte_are_the_nearest(kind: torch.dtype) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(kind).float()
    finite = every[every.isfinite()].unique()
    numbers = torch.randn(4000) * torch.logspace(-6, 6, 4000)
    back = encode(numbers, kind).view(kind).float()
    nearest = (numbers[:, None] - finite).abs().amin(1)
    assert torch.equal((back - numbers).abs(), nearest)
    odd = torch.tensor([math.nan, math.inf, -math.inf, LARGEST])
    found = encode(odd, kind).view(kind).float()
    assert found[0].isnan()
    assert not found[1:3].isfinite().any()
    assert found[3] == finite.max()


@pytest.mark.parametrize("kind", FLOATS8, ids=str)
def test_a_cache_of_floats_of_a_byte(kind: torch.dtype) -> None:
    cache = KVCache(Layers(2, 10, 33, window=20), 6, kind, CPU)
    keys, values = torch.randn(20, 2, 10), torch.randn(20, 2, 33) * 1e4
    blocks = cache.take(2)
    for layer in cache.layers.values():
        layer.store(slots_of(blocks, 20, CPU), keys, values)
        found = layer.gather(blocks, 20)
        for got, given in zip(found, (keys, values), strict=True):
            assert torch.equal(got, encode(given, kind).view(kind).float())
    assert not cache.layers[1].gather([5], 16)[0].any()
