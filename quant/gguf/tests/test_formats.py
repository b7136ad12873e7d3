"""Translations against the gguf package's own dequantization, bit for bit."""

from __future__ import annotations

import tracemalloc

import gguf
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine, Codebook, Dense
from tramontane_quant_gguf.formats.blocks import CACHEFUL
from tramontane_quant_gguf.formats.table import FORMATS, bytes_in_memory
from tramontane_quant_gguf.plugin import GROWTH
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
    "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": (), "NVFP4": (), "IQ1_S": (0,), "IQ1_M": (),
    "IQ2_XXS": (0,), "IQ2_XS": (0,), "IQ2_S": (0,), "IQ3_XXS": (0,), "IQ3_S": (0,),
    "TQ1_0": (52,), "TQ2_0": (64,), "Q8_1": (0,), "Q8_K": (), "Q1_0": (0,), "Q2_0": (0,),
}  # fmt: skip
"""Where a block has its float16 numbers."""

GROWS = {
    "Q2_K": 1.2, "TQ1_0": 1.25, "IQ1_S": 1.77, "IQ1_M": 2.05, "IQ2_XXS": 1.61, "IQ2_XS": 1.55,
    "IQ2_S": 1.4, "IQ3_XXS": 1.41, "IQ3_S": 1.26, "Q1_0": 1.89,
}  # fmt: skip
"""How many times as large as in the file a type is in memory."""


def reference(kind: int, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The gguf package's numbers, or for the four types that it does not decode, ggml's formula."""
    rows, (name, _, nbytes, _) = len(raw), FORMATS[kind]
    blocks = raw.reshape(-1, nbytes)
    if name == "Q8_1":
        scale, codes = blocks[:, :2].copy().view("<f2"), blocks[:, 4:]
    elif name == "Q8_K":
        scale, codes = blocks[:, :4].copy().view("<f4"), blocks[:, 4:260]
    elif name in ("Q1_0", "Q2_0"):
        bits = np.unpackbits(blocks[:, 2:], axis=-1, bitorder="little").view(np.int8)
        scale = blocks[:, :2].copy().view("<f2")
        codes = 2 * bits - 1 if name == "Q1_0" else bits[:, ::2] + 2 * bits[:, 1::2] - 1
    else:
        return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(kind))
    weights = scale.astype(np.float32) * codes.copy().view(np.int8).astype(np.float32)
    return weights.reshape(rows, -1)


def assert_exact(kind: int, raw: NDArray[np.uint8], rows: int, columns: int) -> Affine | Codebook:
    """Every bit equals the reference's; NaN is NaN, whichever."""
    name, raw = FORMATS[kind][0], raw.copy()
    if name == "MXFP4":  # 255 is not a number, which the reference does not say
        raw[::17][raw[::17] == 255] = 254
    if name == "NVFP4":  # the same
        scales = raw.reshape(-1, 36)[:, :4]
        scales[scales == 255] = 254
    with np.errstate(all="ignore"):
        expected = reference(kind, raw.reshape(rows, -1))
    layout = FORMATS[kind][3](raw, rows, columns)
    got = layout.decode(torch.float32).numpy()
    assert layout.shape == got.shape == expected.shape == (rows, columns)
    same = (got.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(got) & np.isnan(expected))
    if name == "IQ1_S":  # a sum: it is 0 where the reference has -0, and NaN where that is infinite
        same |= (got == 0) & (expected == 0) | ~np.isfinite(expected)
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
    held = sum(t.nbytes for name, t in layout.tensors().items() if name != "table")
    assert held == 8 * bytes_in_memory(kind)
    # four or six bits of a scale become a byte; indices of vectors become codes; nothing else grows
    assert held <= 8 * nbytes * GROWS.get(FORMATS[kind][0], 1.05)


@each_format
def test_temporaries_do_not_grow_with_the_tensor(kind: int) -> None:
    _, block, nbytes, translate = FORMATS[kind]
    raw = np.zeros(32 * CACHEFUL // nbytes * nbytes, np.uint8)
    translate(raw[:nbytes], 1, block)  # tables that are made once
    tracemalloc.start()
    # results are torch's and not counted, temporaries are numpy's and are
    translate(raw, 1, len(raw) // nbytes * block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (24 if FORMATS[kind][0] == "TQ1_0" else 12) * CACHEFUL


def test_table_agrees_with_the_reference() -> None:
    for kind, stored in STORED.items():
        if stored.name == "Q2_0":  # younger than the package
            continue
        reference = gguf.GGMLQuantizationType(kind)
        assert stored.name == reference.name
        # the package has 40 bytes for Q8_1, as blocks were with two float32; ggml has two float16
        size = (32, 36) if stored.name == "Q8_1" else gguf.GGML_QUANT_SIZES[reference]
        assert (stored.block, stored.nbytes) == size
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
        "NVFP4": "codebook4/g16/1-level",
        "IQ1_S": "affine2/g32/2-level/min",
        "IQ1_M": "codebook3/g16/2-level",
        "IQ2_XXS": "codebook3/g32/2-level",
        "IQ2_XS": "codebook3/g16/2-level",
        "IQ2_S": "codebook3/g16/2-level",
        "IQ3_XXS": "codebook4/g32/2-level",
        "IQ3_S": "codebook4/g32/2-level",
        "TQ1_0": "affine2/g256/1-level/zero",
        "TQ2_0": "affine2/g256/1-level/zero",
        "Q8_1": "affine8/g32/1-level/zero",
        "Q8_K": "affine8/g256/1-level/zero",
        "Q1_0": "affine2/g128/1-level/zero",
        "Q2_0": "affine2/g64/1-level/zero",
    }
    assert Dense(torch.zeros(1)).kind == "float32"


def test_growth_of_files_is_that_of_their_types() -> None:
    """By the type that each mixture's name has; that of iq2_s is IQ2_XS, of iq3_xs IQ3_XXS and of
    the two _m the _s."""
    main = {"iq2_s": "IQ2_XS", "iq2_m": "IQ2_S", "iq3_xs": "IQ3_XXS", "iq3_m": "IQ3_S"}
    grows = {}
    for number, (name, _, size, _) in FORMATS.items():
        grows[name] = bytes_in_memory(number) / size
    for kind, growth in GROWTH.items():
        base = main.get(kind) or next(n for n in grows if kind.startswith(n.lower()))
        base = kind.upper() if kind.upper() in grows and kind not in main else base
        assert 0 <= growth - grows[base] < 0.011, kind
    left = {name for name, growth in grows.items() if growth > 1} - {k.upper() for k in GROWTH}
    assert left == set()
