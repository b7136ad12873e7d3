"""Matrices that torchao quantized: their numbers are torchao's own, bit for bit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout, nbytes
from tramontane_quant_torchao.layers import translate
from tramontane_quant_torchao.memory import memory
from tramontane_quant_torchao.names import below_layers
from tramontane_quant_torchao.tiles import untiled

from .vectors import BF16, CASES, SHA, Case, eight, floats, ints, octets, powers, sha

PATH = "model.layers.3.mlp.up_proj"
STORED = {
    torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int8: "I8",
    torch.uint8: "U8", torch.int32: "I32", torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
}  # fmt: skip


def said(kind: str, values: dict[str, Any], parts: dict[str, Tensor]) -> dict[str, str]:
    entry = {"_type": kind, "_data": values, "_tensor_data_names": list(parts)}
    return {f"{PATH}.weight": json.dumps(entry)}


def read(case: Case, config: dict[str, Any] | None = None) -> Layout:
    kind, values, parts = case
    tensors = {f"weight.{part}": tensor for part, tensor in parts.items()}
    layout = translate(tensors, config or {}, PATH, said(kind, values, parts))
    assert layout is not None
    return layout


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_torchao(name: str) -> None:
    assert sha(read(CASES[name]).decode()) == SHA[name]


@pytest.mark.parametrize("name", CASES)
def test_the_plan_counts_what_is_held(name: str) -> None:
    kind, values, parts = CASES[name]
    infos = {
        f"weight.{part}": TensorInfo(tuple(t.shape), STORED[t.dtype], t.nbytes)
        for part, t in parts.items()
    }
    layout = read(CASES[name])
    table = layout.tensors()["table"].nbytes if "table" in layout.tensors() else 0
    counted = memory(infos, {}, PATH, tuple(layout.shape), said(kind, values, parts))
    groups = layout.tensors()["scale"].numel() if "scale" in layout.tensors() else 0
    if name == "int4 fractions":  # they may have become dense
        assert counted == layout.shape[0] * layout.shape[1] * 2
    else:
        assert 0 <= counted - (nbytes(layout) - table) <= groups


def test_codes_of_few_bits_are_packed() -> None:
    for bits, held in {1: 2, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 8: 8}.items():
        assert read(CASES[f"int{bits} groups"]).kind == f"affine{held}/g16/1-level/zeros"


def test_codes_beyond_their_bits_keep_their_numbers() -> None:
    kind, values, parts = CASES["int3 groups"]
    parts = parts | {"qdata": ints(6, 32, low=-128, high=128)}
    layout = read((kind, values, parts))
    apart = parts["qdata"].bfloat16() - parts["zero_point"].bfloat16().repeat_interleave(16, 1)
    assert torch.equal(layout.decode(BF16), apart * parts["scale"].repeat_interleave(16, 1))


def plain_int4(raw: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """code * scale + zero, as the quantizer of mslk inverts."""
    halves = torch.stack([raw & 15, raw >> 4 & 15], -1).flatten(1).to(torch.int16)
    codes = torch.where(halves > 7, halves - 16, halves).float()
    group = codes.shape[1] // len(scale)
    each, least = (t.T.float().repeat_interleave(group, 1) for t in (scale, zero))
    return codes * each + least


INT4 = {"block_size": [1, 16], "shape": [6, 64], "activation_dtype": {}}
INT4_PARTS = {
    "qdata": ints(6, 32, low=-128, high=128), "scale": floats(4, 6, dtype=BF16),
    "zero_point": floats(4, 6, dtype=BF16, step=29) - 0.05,
}  # fmt: skip


def test_plain_codes_of_four_bits() -> None:
    layout = read(("Int4Tensor", INT4, INT4_PARTS))
    assert layout.kind == "affine4/g16/1-level/min"
    assert torch.equal(layout.decode(), plain_int4(*INT4_PARTS.values()))


def test_scales_before_a_layer_are_multiplied_in() -> None:
    before = floats(64, dtype=BF16)
    layout = read(("Int4Tensor", INT4, {**INT4_PARTS, "act_pre_scale": before}))
    assert isinstance(layout, Dense)
    assert torch.equal(layout.decode(), plain_int4(*INT4_PARTS.values()) * before.float())


def tiled(codes: Tensor) -> Tensor:
    """What torch's CUDA kernel makes of codes (rows, columns), thread by thread."""
    rows, columns = codes.shape
    words = torch.zeros(rows // 8, columns // 128, 32, 4, dtype=torch.int64)
    for tile, outer, thread, pair in torch.cartesian_prod(
        *(torch.arange(size) for size in words.shape)
    ).tolist():
        row = codes[tile * 8 + thread // 4].tolist()
        first = (outer * 4 + pair) * 32 + 2 * (thread % 4)
        eight = [row[first + step + odd] for odd in (0, 1) for step in (0, 8, 16, 24)]
        words[tile, outer, thread, pair] = sum(code << 4 * i for i, code in enumerate(eight))
    return words.to(torch.int32)


def test_tiles_of_tensor_cores() -> None:
    codes = ints(16, 1024, low=0, high=16, dtype=torch.uint8)
    words = tiled(codes)
    assert torch.equal(untiled(words), codes)
    assert torch.equal(untiled(torch.stack([words, words + 1]))[0], codes)
    both = floats(32, 16, 2, dtype=BF16)
    values = {"block_size": [1, 32], "shape": [13, 96]}
    layout = read(("Int4TilePackedTo4dTensor", values, {"qdata": words, "scale_and_zero": both}))
    scale, zero = (both[:3, :13, i].T.repeat_interleave(32, 1) for i in (0, 1))
    # as torchao's _dequantize_affine_tinygemm: each step in bfloat16
    expected = (codes[:13, :96].float() - 8).bfloat16() * scale + zero
    assert torch.equal(layout.decode(BF16), expected)


def test_names() -> None:
    found = {
        "a.up_proj._weight_qdata": "a.up_proj.weight.qdata",
        "a.up_proj._weight_act_quant_scale": "a.up_proj.weight.act_quant_scale",
        "a.experts._gate_up_proj_scale_and_zero": "a.experts.gate_up_proj.scale_and_zero",
        "a.up_proj.weight:qdata": "a.up_proj.weight.qdata",
        "model.norm.weight:_data": "model.norm.weight",
        "a.experts.down_proj:scale": "a.experts.down_proj.scale",
    }
    for name in ("model.norm.weight", "a.q_proj.bias", "a.logit_scale", "scale", "a._b"):
        found[name] = name
    assert {name: below_layers(name, {}) for name in found} == found


def test_a_plain_matrix_is_left() -> None:
    assert translate({"weight": torch.ones(4, 4)}, {}, PATH) is None


KIND, VALUES, PARTS = CASES["int8 groups, zeros"]
INTX, FLOAT8, MX, NVFP4 = (CASES[name] for name in ("int3 groups", "float8 rows", "mxfp8", "nvfp4"))
TILES: Case = (
    "Int4TilePackedTo4dTensor", {"block_size": [1, 32], "shape": [8, 128]},
    {"qdata": ints(1, 8, 32, 4, low=0, high=9).int(), "scale_and_zero": floats(32, 8, 2)},
)  # fmt: skip


def changed(case: Case, values: dict[str, Any] | None = None, **parts: Tensor) -> Case:
    return case[0], case[1] | (values or {}), case[2] | parts


BROKEN: dict[str, tuple[Case, str]] = {
    "kind for one device": (
        ("Int4PlainInt32Tensor", VALUES, PARTS), "it is a Int4PlainInt32Tensor of torchao",
    ),
    "attribute": (changed((KIND, VALUES, PARTS), {"sparsity": 2}), "sparsity of its Int8Tensor"),
    "no block": (changed((KIND, VALUES, PARTS), {"block_size": None}), "block_size=None"),
    "block of words": (changed((KIND, VALUES, PARTS), {"block_size": ["1"]}), "block_size=['1']"),
    "other blocks": (
        changed((KIND, VALUES, PARTS), {"block_size": [1, 5]}), "blocks of [1, 5] do not fill",
    ),
    "dtype": (changed((KIND, VALUES, PARTS), {"dtype": "int8"}), "dtype='int8' of its Int8Tensor"),
    "codes": (changed((KIND, VALUES, PARTS), qdata=octets(6, 32)), "qdata is uint8 (6, 32)"),
    "scales": (changed((KIND, VALUES, PARTS), scale=floats(6, 1)), "6 scales do not belong"),
    "zeros": (changed((KIND, VALUES, PARTS), zero_point=ints(3, low=0, high=9)), "3 zero points"),
    "scales of integers": (
        changed((KIND, VALUES, PARTS), scale=ints(6, 2, low=1, high=9)), "its scales are int8",
    ),
    "bits": (changed(INTX, {"target_dtype": "int9"}), "target_dtype='int9'"),
    "shape": (changed(("Int4Tensor", INT4, INT4_PARTS), {"shape": [6, 60]}), "shape=[6, 60]"),
    "int4 scales": (
        changed(("Int4Tensor", INT4, INT4_PARTS), {"block_size": [1, 32]}), "in groups of 32",
    ),
    "int4 zeros": (
        ("Int4Tensor", INT4, INT4_PARTS | {"zero_point": ints(4, 6, low=0, high=9)}),
        "zero points are int8",
    ),
    "scales before": (
        ("Int4Tensor", INT4, INT4_PARTS | {"act_pre_scale": floats(63)}), "act_pre_scale is",
    ),
    "float8 codes": (changed(FLOAT8, qdata=octets(6, 32)), "not a matrix of float8"),
    "float8 scales": (changed(FLOAT8, scale=floats(5, 1)), "scales of (5, 1) do not belong"),
    "element": (changed(MX, {"elem_dtype": "int8"}), "elem_dtype='int8'"),
    "element of other codes": (changed(MX, {"elem_dtype": "fp6_e2m3"}), "not codes of fp6_e2m3"),
    "seven bits": (
        changed(MX, {"elem_dtype": "fp6_e2m3"}, qdata=octets(6, 64)), "not codes of 6 bits",
    ),
    "mx group": (changed(MX, {"block_size": 48}), "block_size=48 of its MXTensor"),
    "mx scales": (changed(MX, scale=powers(6, 1)), "have 12 of float8_e8m0fnu"),
    "nvfp4 scales": (changed(NVFP4, scale=powers(6, 4)), "have 24 of float8_e4m3fn"),
    "swizzled": (changed(NVFP4, {"is_swizzled_scales": True}), "have 512 of float8_e4m3fn"),
    "flag": (changed(NVFP4, {"is_swizzled_scales": 1}), "is_swizzled_scales=1"),
    "nvfp4 codes": (changed(NVFP4, qdata=eight(6, 32)), "not bytes of two codes"),
    "whole scales": (changed(NVFP4, per_tensor_scale=floats(6)), "one float for each matrix"),
    "tiles": (changed(TILES, qdata=octets(8, 64)), "not tiles of 32 lanes"),
    "tiles of a larger matrix": (changed(TILES, {"shape": [9, 128]}), "within its tiles"),
    "tiles' scales": (changed(TILES, scale_and_zero=floats(4, 8, 2)), "scales of (4, 8, 2)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name: str) -> None:
    case, why = BROKEN[name]
    with pytest.raises(CheckpointError, match=re.escape(why)) as caught:
        read(case)
    assert PATH in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, "does not describe model.layers.3.mlp.up_proj.weight; torchao needs it too"),
        ({f"{PATH}.weight": "no JSON"}, "by 'no JSON', which is not torchao's"),
        ({f"{PATH}.weight": "[" * 9999}, "which is not torchao's"),
        ({f"{PATH}.weight": "[1]"}, "which is not torchao's"),
        ({f"{PATH}.weight": '{"_type": "Tensor"}'}, "says that it is not quantized, but it has"),
        ({f"{PATH}.weight": '{"_type": "Int8Tensor"}'}, "must have an object _data"),
        ({f"{PATH}.weight": '{"_type": "Oops\\n"}'}, "it is a Oops"),
    ],
)
def test_what_says_nothing_is_named(metadata: dict[str, str], why: str) -> None:
    tensors = {f"weight.{part}": tensor for part, tensor in PARTS.items()}
    with pytest.raises(CheckpointError, match=re.escape(why)):
        translate(tensors, {}, PATH, metadata)


def test_tiles_for_other_devices_are_refused() -> None:
    read(TILES, {"quant_type": {"default": {"_data": {"int4_tile_packed_ntile": 8}}}})
    with pytest.raises(CheckpointError, match="int4_tile_packed_ntile=16 are tiles for ROCm"):
        read(TILES, {"quant_type": {"default": [{"_data": {"int4_tile_packed_ntile": 16}}]}})
