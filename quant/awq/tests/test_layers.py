"""AWQ's layers: what gptqmodel decodes them to, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.choose_quantizer import told
from tramontane.checkpoint.layout_checks import check_layout
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.layouts import nbytes
from tramontane.registry import Registry
from tramontane_quant_awq.layers import translate
from tramontane_quant_awq.memory import memory
from tramontane_quant_awq.plugin import quantizers

COLUMNS, ROWS = 192, 32
# sha256 of what gptqmodel 7.7.0 decodes `layer`'s tensors to
DECODED = [
    (4, 64, "float16", "d0e83ec067970ac8"),
    (4, -1, "bfloat16", "31ad6e7c43236091"),
    (3, 32, "float16", "baab34d46d0272c1"),
    (7, 64, "float16", "f5c07ca767516ae8"),
]


def words(rows: int, columns: int, seed: int) -> Tensor:
    """Any bits, the same everywhere."""
    count = torch.arange(seed, seed + rows * columns, dtype=torch.int64)
    mixed = count * 2654435761 % 4294967291 * 40503 % 4294967296
    return (mixed - (1 << 31)).to(torch.int32).view(rows, columns)


def layer(
    bits: int = 4, group: int = 64, dtype: str = "float16"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    groups, width = 1 if group == -1 else COLUMNS // group, ROWS * bits // 32
    scales = (words(groups, ROWS, 7).float() / 2**36).to(getattr(torch, dtype))
    tensors = {
        "qweight": words(COLUMNS, width, 1), "qzeros": words(groups, width, 99), "scales": scales,
    }  # fmt: skip
    return tensors, {"quant_method": "awq", "bits": bits, "group_size": group, "zero_point": True}


def of_another_version(form: str, group: int) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
    """A layer, and its weights as float32 numbers."""
    columns, groups = 256, 256 // group
    codes = words(ROWS, columns, 1) >> 9 & 15
    zeros = words(ROWS, groups, 5) >> 9 & 15
    scales = (words(ROWS, groups, 7).float() / 2**36).half()
    group_of = torch.arange(columns) // group
    said = {"bits": 4, "group_size": group, "version": form}
    if form == "gemv":
        padded = torch.nn.functional.pad(zeros, (0, -groups % 8))
        tensors = {
            "qweight": in_words(codes), "qzeros": in_words(padded),
            "scales": torch.nn.functional.pad(scales, (0, -groups % 8)),
        }  # fmt: skip
        return tensors, said, (codes - zeros[:, group_of]) * scales.float()[:, group_of]
    minus = (-zeros * scales).half()
    name = "scaled_zeros" if form == "llm-awq" else "qzeros"
    tensors = {"qweight": interleaved(codes), "scales": scales.T.contiguous(), name: minus.T}
    return tensors, said, codes * scales.float()[:, group_of] + minus.float()[:, group_of]


def in_words(codes: Tensor) -> Tensor:
    parts = codes.unflatten(1, (-1, 8)) << torch.arange(0, 32, 4, dtype=torch.int32)
    return parts.sum(-1).to(torch.int32)


def interleaved(codes: Tensor) -> Tensor:
    """As llm-awq packs them: 32 columns in pairs, 8 with the even ones first, 4 rows in 64."""
    rows, columns = codes.shape
    packed = codes.reshape(rows, columns // 32, 4, 4, 2).permute(0, 1, 3, 2, 4)
    packed = packed.reshape(rows, columns // 32, 4, 4, 2).permute(0, 1, 2, 4, 3)
    packed = packed.reshape(rows // 4, 4, columns // 64, 64).permute(0, 2, 1, 3)
    packed = packed.reshape(rows // 4, columns // 64, 64, 4)
    return (packed << torch.arange(0, 16, 4)).sum(-1).view(rows // 4, columns).to(torch.int16)


def digest(weight: Tensor) -> str:
    return hashlib.sha256((weight.float() + 0.0).contiguous().numpy().tobytes()).hexdigest()


@pytest.mark.parametrize(("bits", "group", "dtype", "expected"), DECODED)
def test_layers_decode_as_gptqmodel_decodes_them(
    bits: int, group: int, dtype: str, expected: str
) -> None:
    tensors, said = layer(bits, group, dtype)
    layout = translate(tensors, said, "x", (ROWS, COLUMNS))
    assert layout is not None
    assert not check_layout(layout, (ROWS, COLUMNS))
    assert digest(layout.decode(getattr(torch, dtype)))[:16] == expected


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("form", ["gemv", "gemv_fast", "llm-awq"])
def test_other_versions_hold_the_same_numbers(form: str, group: int) -> None:
    tensors, said, weight = of_another_version(form, group)
    layout = translate(tensors, said, "x", (ROWS, 256))
    assert layout is not None
    assert not check_layout(layout, (ROWS, 256))
    dtype = torch.float16 if form == "gemv" else torch.float32
    assert torch.equal(layout.decode(dtype), weight.to(dtype))


def test_what_gptqmodel_wrote_is_read_bit_by_bit(golden: Path) -> None:
    folder = golden / "awq-4bit"
    loaded = load_model(
        open_checkpoint(folder, Registry()), Registry(), LoadOptions(device="reference")
    )
    expected = json.loads((folder / "expected.json").read_text())["weights"]
    for name, said in expected.items():
        layout: Any = loaded.model.get_submodule(name.removesuffix(".weight")).weight
        assert digest(layout.decode(getattr(torch, said["dtype"]))) == said["sha256"], name


def test_older_spellings_mean_the_same() -> None:
    tensors, said = layer()
    old = {"w_bit": 4, "q_group_size": 64, "version": "GEMM", "zero_point": True}
    (offer,) = quantizers()
    assert told(old, offer.told_by)
    assert not told(said, offer.told_by)
    one, two = translate(tensors, said), translate(tensors, old)
    assert one is not None
    assert two is not None
    assert torch.equal(one.decode(), two.decode())


def test_one_zero_where_all_are_the_middle() -> None:
    tensors, said = layer()
    tensors["qzeros"] = (torch.zeros_like(tensors["qzeros"]) + 0x08888888) | (8 << 28) - (1 << 32)
    told: Any = translate(tensors, {**said, "zero_point": False})
    assert told.zero == 8
    kept: Any = translate(tensors, said)
    assert isinstance(kept.zero, Tensor)
    assert torch.equal(told.decode(), kept.decode())


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "missing": ({"qzeros": None}, {}, "x: qzeros missing"),
    "no scaled zeros": ({}, {"version": "llm-awq"}, "x: scaled_zeros missing"),
    "scales": ({"scales": torch.ones(2, ROWS)}, {}, "group_size 64 does not make the 2 groups of"),
    "scales' type": ({"scales": torch.ones(3, ROWS).int()}, {}, "scales are int32 (3, 32), which"),
    "zeros": ({"qzeros": torch.ones(2, 4).int()}, {}, "qzeros is int32 (2, 4); its scales need"),
    "codes": ({"qweight": torch.ones(COLUMNS, 3).int()}, {}, "its scales need (192, 4)"),
    "codes' type": ({"qweight": torch.ones(COLUMNS, 4)}, {}, "qweight must be int32 words in a m"),
    "marlin": ({}, {"version": "marlin"}, "version 'marlin' is not known, or stored for one"),
    "bits": ({}, {"bits": 9}, "9 bits with version gemm are not supported; gemm has 2 to 8"),
    "bits of gemv": ({}, {"bits": 3, "version": "gemv"}, "3 bits with version gemv are not supp"),
    "no group": ({}, {"group_size": None}, "group_size None must be positive, or -1"),
    "group": ({}, {"group_size": 128}, "group_size 128 does not make the 3 groups of its scales"),
    "gemv": ({}, {"version": "gemv"}, "it is (192, 32), the model wants (32, 192)"),
    "fast": ({}, {"version": "gemv_fast"}, "qweight must be int16 words in a matrix, not int32"),
    "bias": ({"bias": torch.ones(ROWS)}, {}, "it has a bias that is not zero"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    (tensors, said), (other, differs, why) = layer(), BROKEN[case]
    given = {name: tensor for name, tensor in {**tensors, **other}.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=re.escape(why)):
        translate(given, {**said, **differs}, "x", (ROWS, COLUMNS))


@pytest.mark.parametrize("form", ["gemv", "gemv_fast"])
def test_scales_of_another_shape_are_named(form: str) -> None:
    tensors, said, _ = of_another_version(form, 64)
    tensors["scales"] = tensors["scales"][:3]
    with pytest.raises(CheckpointError, match=r"scales are float16 \(3, .*need"):
        translate(tensors, said, "x", (ROWS, 256))


def test_a_bias_of_zeros_and_plain_weights_are_left_alone() -> None:
    tensors, said = layer()
    assert translate({**tensors, "bias": torch.zeros(ROWS)}, said) is not None
    assert translate({"weight": torch.ones(2, 2)}, said) is None


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("form", ["gemm", "gemv", "gemv_fast", "llm-awq"])
def test_the_plan_knows_what_a_layer_takes(form: str, transposed: bool) -> None:
    tensors, said = layer() if form == "gemm" else of_another_version(form, 64)[:2]
    shape = (ROWS, COLUMNS if form == "gemm" else 256)
    shape = shape[::-1] if transposed else shape
    layout = translate(tensors, said, "x", shape, transposed)
    assert layout is not None
    infos = {name: TensorInfo(tuple(t.shape), "?", t.nbytes) for name, t in tensors.items()}
    assert memory(infos, said, "x", shape, transposed) == nbytes(layout)
