"""Translations against the gguf package's own dequantization, bit for bit."""

from __future__ import annotations

import time
import tracemalloc

import gguf
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine, Codebook, Dense
from tramontane_quant_gguf.formats.blocks import CACHEFUL
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_gguf.types import REFUSED, STORED

TYPES = sorted(FORMATS)
NAMES = [FORMATS[kind][0] for kind in TYPES]
each_format = pytest.mark.parametrize("kind", TYPES, ids=NAMES)

F16_SPECIAL = np.array(
    [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00,
     0xFC00, 0x7C01, 0x7E00, 0xFE00, 0xFFFF],
    np.uint16,
)  # fmt: skip
"""Zeros, subnormals, extremes, infinities, signalling and quiet NaN."""

SCALES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q2_K": (80, 82),
    "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
    "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": (),
}  # fmt: skip
"""Where a block has its float16 numbers."""


def assert_exact(kind: int, raw: NDArray[np.uint8], rows: int, columns: int) -> Affine | Codebook:
    """Every bit equals the reference's; NaN is NaN, whichever."""
    if FORMATS[kind][0] == "MXFP4":  # 255 is not a number, which the reference does not say
        raw = raw.copy()
        raw[::17][raw[::17] == 255] = 254
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(raw.reshape(rows, -1), gguf.GGMLQuantizationType(kind))
    layout = FORMATS[kind][3](raw, rows, columns)
    got = layout.decode(torch.float32).numpy()
    assert layout.shape == got.shape == expected.shape == (rows, columns)
    same = (got.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(got) & np.isnan(expected))
    assert same.all(), f"{(~same).sum()} of {same.size} differ, first at {np.argwhere(~same)[0]}"
    return layout


@each_format
@pytest.mark.parametrize(("rows", "blocks"), [(1, 1), (3, 5), (37, 8), (256, 2)])
def test_random_bytes_decode_as_the_reference_has_them(kind: int, rows: int, blocks: int) -> None:
    _, block, nbytes, _ = FORMATS[kind]
    raw = np.random.default_rng(rows).integers(0, 256, rows * blocks * nbytes, dtype=np.uint8)
    assert_exact(kind, raw, rows, blocks * block)


@each_format
def test_special_scales_decode_as_the_reference_has_them(kind: int) -> None:
    name, block, nbytes, _ = FORMATS[kind]
    pairs = [(a, b) for a in F16_SPECIAL for b in F16_SPECIAL]
    raw = np.random.default_rng(7).integers(0, 256, (len(pairs), nbytes), dtype=np.uint8)
    for place, column in zip(SCALES[name], np.array(pairs).T, strict=False):
        raw[:, place : place + 2] = column.copy().view(np.uint8).reshape(-1, 2)
    assert_exact(kind, raw.reshape(-1), len(pairs), block)


@each_format
@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x5A])
def test_uniform_blocks_decode_as_the_reference_has_them(kind: int, byte: int) -> None:
    _, block, nbytes, _ = FORMATS[kind]
    assert_exact(kind, np.full(4 * nbytes, byte, np.uint8), 2, 2 * block)


@each_format
def test_tensors_of_several_cachefuls_are_translated_whole(kind: int) -> None:
    _, block, nbytes, _ = FORMATS[kind]
    rows = 5
    blocks = CACHEFUL // nbytes // 2
    raw = np.random.default_rng(1).integers(0, 256, rows * blocks * nbytes, dtype=np.uint8)
    assert_exact(kind, raw, rows, blocks * block)


@each_format
def test_scales_stay_as_small_as_they_were(kind: int) -> None:
    _, block, nbytes, translate = FORMATS[kind]
    layout = translate(np.zeros(8 * nbytes, np.uint8), 2, 4 * block)
    held = sum(t.numel() * t.element_size() for t in layout.tensors().values())
    # four or six bits of a scale become a byte, and there is one table; nothing else grows
    held -= 64 if isinstance(layout, Codebook) else 0
    assert held <= 8 * nbytes * (1.2 if FORMATS[kind][0] == "Q2_K" else 1.05)


@each_format
def test_temporaries_do_not_grow_with_the_tensor(kind: int) -> None:
    _, block, nbytes, translate = FORMATS[kind]
    raw = np.zeros(32 * CACHEFUL // nbytes * nbytes, np.uint8)
    tracemalloc.start()
    # results are torch's and not counted, temporaries are numpy's and are
    translate(raw, 1, len(raw) // nbytes * block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * CACHEFUL


@each_format
def test_translation_is_not_slow(kind: int) -> None:
    _, block, nbytes, translate = FORMATS[kind]
    raw = np.zeros((8 << 20) // nbytes * nbytes, np.uint8)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        translate(raw, 1, len(raw) // nbytes * block)
        best = min(best, time.perf_counter() - start)
    print(f"{FORMATS[kind][0]}: {len(raw) / best / 1e9:.2f} GB/s")
    # about 1 GB/s is usual; far below means that a step went element by element
    assert len(raw) / best > 0.1e9


def test_table_agrees_with_the_reference() -> None:
    for kind, stored in STORED.items():
        reference = gguf.GGMLQuantizationType(kind)
        assert stored.name == reference.name
        assert (stored.block, stored.nbytes) == gguf.GGML_QUANT_SIZES[reference]
    for kind, (name, block, nbytes, _) in FORMATS.items():
        assert STORED[kind] == (name, block, nbytes)
    for kind in gguf.GGMLQuantizationType:
        assert (kind in STORED) != (kind in REFUSED), kind.name
        assert kind in STORED or REFUSED[kind] == kind.name


def test_layouts_describe_themselves() -> None:
    kinds = {
        name: translate(np.zeros(nbytes, np.uint8), 1, block).kind
        for name, block, nbytes, translate in FORMATS.values()
    }
    assert kinds == {
        "Q4_0": "affine4/g32/1-level/zero",
        "Q4_1": "affine4/g32/1-level/min",
        "Q5_0": "affine5/g32/1-level/zero",
        "Q5_1": "affine5/g32/1-level/min",
        "Q8_0": "affine8/g32/1-level/zero",
        "Q2_K": "affine2/g16/2-level/min",
        "Q3_K": "affine3/g16/2-level/zero",
        "Q4_K": "affine4/g32/2-level/min",
        "Q5_K": "affine5/g32/2-level/min",
        "Q6_K": "affine6/g16/2-level/zero",
        "IQ4_NL": "codebook4/g32/1-level",
        "IQ4_XS": "codebook4/g32/2-level",
        "MXFP4": "codebook4/g32/1-level",
    }
    assert Dense(torch.zeros(1)).kind == "float32"
