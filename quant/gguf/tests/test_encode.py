"""Encoders: ggml's bits where its algorithm is simple, errors as small as its own elsewhere."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor
from tramontane_quant_gguf.encode.encode import ENCODERS, TYPES, encode_blocks, quantize
from tramontane_quant_gguf.formats.table import FORMATS, bytes_in_memory
from tramontane_quant_gguf.plugin import KINDS

SIMPLE = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"]
every_kind = pytest.mark.parametrize("kind", ENCODERS)


def matrix(rows: int = 24, columns: int = 512, seed: int = 0) -> Tensor:
    """Normal numbers, in rows of different sizes, with a few large ones."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, columns, generator=random) * torch.logspace(-3, 1, rows)[:, None]
    numbers[::5, ::37] *= 6
    return numbers


@pytest.mark.parametrize("kind", SIMPLE)
def test_bits_are_those_of_the_gguf_package(kind: str) -> None:
    for numbers in (matrix(), torch.zeros(2, 64), torch.full((2, 64), 3.0), -matrix(seed=1).abs()):
        expected = gguf.quants.quantize(numbers.numpy(), gguf.GGMLQuantizationType(TYPES[kind]))
        assert np.array_equal(encode_blocks(numbers, kind), expected)


@every_kind
def test_more_bits_are_nearer(kind: str) -> None:
    """The mean squared error of normal numbers, by the bits of a code: within what a uniform
    quantizer of so many levels has, 2.6 sigma wide or more."""
    numbers = torch.randn(64, 1024, generator=torch.Generator().manual_seed(3))
    off = (quantize(numbers, kind).decode() - numbers).square().mean().item()
    bits = int(kind.strip("iq")[0])
    assert 0.3 < off / (5.2 / 2**bits) ** 2 * 12 < 1.6


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if kind not in SIMPLE])
def test_importance_moves_the_error_to_where_it_counts_less(kind: str) -> None:
    numbers = matrix(16, 512, 5)
    importance = torch.logspace(-2, 2, 512)[torch.randperm(512)]
    plain = (quantize(numbers, kind).decode() - numbers).square()
    fitted = (quantize(numbers, kind, importance).decode() - numbers).square()
    assert (fitted * importance).sum() < 0.97 * (plain * importance).sum()


@every_kind
def test_kinds_say_their_bits(kind: str) -> None:
    weights = FORMATS[TYPES[kind]][1]
    assert bytes_in_memory(TYPES[kind]) * 8 / weights == KINDS[kind]
    assert set(KINDS) == set(ENCODERS)


@every_kind
def test_zeros_and_constants(kind: str) -> None:
    assert not quantize(torch.zeros(3, 256), kind).decode().any()
    for value in (1.0, -2.5, 1e-2):
        numbers = torch.full((2, 256), value)
        # 6-bit scales and float16 leave a few percent
        torch.testing.assert_close(quantize(numbers, kind).decode(), numbers, rtol=0.04, atol=0)


@every_kind
def test_runs_of_rows_do_not_matter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, importance = matrix(40, 256), torch.rand(256) + 0.1
    whole = encode_blocks(numbers, kind, importance)
    monkeypatch.setattr("tramontane_quant_gguf.encode.encode.AT_ONCE", 700)
    assert np.array_equal(encode_blocks(numbers, kind, importance), whole)


@pytest.mark.parametrize(
    ("numbers", "kind", "importance", "why"),
    [
        (torch.zeros(2, 100), "q8_0", None, "100 columns do not make whole blocks of 32"),
        (torch.zeros(2, 96), "q4_k", None, "iq4_nl has blocks of 32"),
        (torch.full((2, 256), float("nan")), "q4_k", None, "not numbers"),
        (torch.zeros(2, 256), "q9", None, "'q9' is none of q4_0"),
        (torch.zeros(2, 256), "q4_k", torch.ones(3), r"shape \(3,\), the matrix 256"),
        (torch.zeros(2, 256), "q4_k", -torch.ones(256), "negative"),
    ],
)
def test_what_cannot_be_encoded(
    numbers: Tensor, kind: str, importance: Tensor | None, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        encode_blocks(numbers, kind, importance)


@every_kind
@pytest.mark.parametrize("important", [False, True])
def test_compiled_searches_make_the_same_bits(
    kind: str, important: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason="numba is not installed")
    numbers = torch.cat((matrix(21, 512, 7), torch.zeros(1, 512), torch.full((2, 512), 2.0)))
    importance = torch.rand(512, generator=torch.Generator().manual_seed(8)) if important else None
    fast = encode_blocks(numbers, kind, importance)
    monkeypatch.setattr("tramontane_quant_gguf.encode.search.compiled", lambda: None)
    assert np.array_equal(encode_blocks(numbers, kind, importance), fast)
