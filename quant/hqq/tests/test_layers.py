"""Layers as safetensors and qmodel.pt have them, against arithmetic code by code."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, RowGroups, nbytes
from tramontane_quant_hqq.encode import encode
from tramontane_quant_hqq.layers import memory, translate
from tramontane_quant_hqq.packing import PACKINGS, words_of
from tramontane_quant_hqq.plain import layer
from tramontane_quant_hqq.qmodel import layout_of

ARRANGEMENTS = {
    "rows": ((16, 64), 32, 1, Affine), "whole rows": ((16, 32), 64, 1, Affine),
    "down": ((40, 16), 8, 0, RowGroups), "one group down": ((8, 16), 8, 0, RowGroups),
    "columns together": ((8, 32), 16, 0, RowGroups),
    "across rows": ((8, 24), 16, 1, Dense), "across columns": ((12, 16), 8, 0, Dense),
}  # fmt: skip
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def stored(
    shape: tuple[int, int], group: int, axis: int, bits: float, dtype: torch.dtype
) -> dict[str, Any]:
    """Any codes, as a layer of qmodel.pt."""
    torch.manual_seed(0)
    groups = shape[0] * shape[1] // group
    most = round(2**bits - 1)
    codes = torch.randint(0, most + 1, (group, groups) if axis == 0 else (groups, group))
    numbers = (1, groups) if axis == 0 else (groups, 1)
    return {
        "W_q": words_of(codes.to(torch.uint8), PACKINGS[bits]), "nbits": bits, "axis": axis,
        "scale": torch.rand(numbers).to(dtype), "zero": (most * torch.rand(numbers)).to(dtype),
        "group_size": group, "shape": torch.Size(shape), "packing": PACKINGS[bits],
        "compute_dtype": dtype, "view_as_float": False,
    }  # fmt: skip


def encoded(said: dict[str, Any]) -> dict[str, Tensor]:
    """The same as tensors, as hqq encodes them for safetensors."""

    def tensor(value: Any) -> Tensor:
        if isinstance(value, torch.dtype | str):
            return torch.tensor([*str(value).encode()], dtype=torch.uint8)
        return value if isinstance(value, Tensor) else torch.tensor(value)

    return {name: tensor(value) for name, value in said.items()}


@pytest.mark.parametrize("bits", PACKINGS)
@pytest.mark.parametrize("case", ARRANGEMENTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_arrangement_decodes_exactly(bits: float, case: str, dtype: torch.dtype) -> None:
    shape, group, axis, kind = ARRANGEMENTS[case]
    said = stored(shape, group, axis, bits, dtype)
    expected = layer(said)
    for layout in (layout_of(said, "p"), translate(encoded(said), {}, "p", shape)):
        assert isinstance(layout, kind)
        assert torch.equal(layout.decode(), expected)


def test_codes_may_be_stored_as_floats() -> None:
    for bits, dtype in ((4, torch.float16), (3, torch.float32)):
        said = stored((16, 64), 32, 1, bits, torch.float16)
        viewed = said | {"W_q": said["W_q"].view(dtype), "view_as_float": True}
        assert torch.equal(layout_of(viewed, "p").decode(), layer(said))
        found = translate(encoded(viewed), {})
        assert found is not None
        assert torch.equal(found.decode(), layer(said))


def test_one_scale_may_serve_the_whole_matrix() -> None:
    """As with channel_wise=False, where the matrix keeps its shape."""
    said = stored((8, 32), 32, 1, 4, torch.float16)
    whole = said | {"scale": torch.tensor(0.5).half(), "zero": torch.tensor(7.5).half()}
    each = said | {"scale": torch.full((8, 1), 0.5), "zero": torch.full((8, 1), 7.5)}
    assert torch.equal(layout_of(whole, "p").decode(), layer(each))


def test_old_files_quantize_the_zeros_too() -> None:
    said = stored((16, 64), 32, 1, 4, torch.float16)
    meta = {
        "nbits": 8, "packing": "8bit_u8", "shape": torch.Size((32, 1)), "axis": 0,
        "zero": torch.tensor(3.0), "scale": torch.tensor(0.05),
    }  # fmt: skip
    codes = torch.arange(32, dtype=torch.uint8)[:, None]
    zero = (codes.half() - 3) * torch.tensor(0.05).half()
    old = {**said, "zero_q": codes, "meta_zero": meta}
    del old["zero"]
    assert torch.equal(layout_of(old, "p").decode(), layer(said | {"zero": zero}))
    both = {**said, "zero_scale": torch.stack((said["zero"], said["scale"]))}
    del both["zero"], both["scale"]
    assert torch.equal(layout_of(both, "p").decode(), layer(said))


@pytest.mark.parametrize("bits", PACKINGS)
@pytest.mark.parametrize("case", ARRANGEMENTS)
def test_the_plan_counts_at_least_what_is_held(bits: float, case: str) -> None:
    shape, group, axis, _ = ARRANGEMENTS[case]
    tensors = encoded(stored(shape, group, axis, bits, torch.float16))
    infos = {
        name: TensorInfo(tuple(t.shape), str(t.dtype), t.nbytes) for name, t in tensors.items()
    }
    found = translate(tensors, {})
    assert found is not None
    held = nbytes(found) - (4 * shape[0] if isinstance(found, RowGroups) else 0)
    assert held <= memory(infos, {}, "p", shape) <= 2 * held + 64


GOOD = encoded(stored((16, 64), 32, 1, 4, torch.float16))
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"scale": None, "axis": None}, "p: axis and scale missing"),
    "words": ({"W_q": GOOD["W_q"][:-1]}, "W_q is uint8 (15, 32); 32 x 32 codes in 4bit_u8 are"),
    "packing": (
        {"packing": torch.tensor([*b"3bit_32"], dtype=torch.uint8)},
        "nbits=4 in the packing '3bit_32' is none of 8 in 8bit_u8",
    ),
    "bits": ({"nbits": torch.tensor(7)}, "nbits=7.0 in the packing"),
    "several": ({"nbits": torch.tensor([4, 4])}, "nbits is (2,), not one number"),
    "letters": ({"packing": torch.tensor(3)}, "packing is torch.int64 (), not letters"),
    "axis": ({"axis": torch.tensor(2)}, "axis=2 is neither 0 nor 1"),
    "group": ({"group_size": torch.tensor(48)}, "(16, 64) is no multiple of its group of 48"),
    "scales": ({"scale": torch.ones(3, 1)}, "scale is torch.float32 (3, 1); (16, 64) in groups of"),
    "no floats": ({"zero": torch.ones(32, 1).int()}, "zero is torch.int32 (32, 1)"),
    "shape": ({"shape": torch.tensor([16])}, "shape says (16,), not rows and columns"),
    "type": (
        {"compute_dtype": torch.tensor([*b"torch.int8"], dtype=torch.uint8)},
        "compute_dtype='torch.int8' is none of torch.float16",
    ),
    "quantized zeros": ({"quant_zero": torch.tensor(1)}, "quant_zero is set"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    changes, said = WRONG[case]
    tensors = {name: each for name, each in {**GOOD, **changes}.items() if each is not None}
    with pytest.raises(CheckpointError, match=re.escape(said)):
        translate(tensors, {}, "p", (16, 64))


def test_codes_beyond_their_bits_are_an_error() -> None:
    said = stored((16, 64), 32, 1, 5, torch.float16)
    said["W_q"] = said["W_q"] + 40
    with pytest.raises(CheckpointError, match=r"p: it has codes up to \d+, and 5 bits end at 31"):
        layout_of(said, "p")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nbits": "4"}, "nbits='4' is missing"),
        ({"W_q": None}, "W_q=None is missing"),
        ({"shape": (16,)}, "shape=(16,) is not rows and columns"),
        ({"compute_dtype": torch.int8}, "compute_dtype=torch.int8 is not supported"),
        ({"zero_q": torch.ones(2)}, "zero_q has no meta_zero"),
        ({"scale": torch.full((32, 1), torch.inf)}, "its scales or zeros are infinite"),
    ],
)
def test_what_is_wrong_in_a_qmodel_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"p: {said}")):
        layout_of(stored((16, 64), 32, 1, 4, torch.float16) | changes, "p")


def test_a_dense_layer_is_left_as_it_is() -> None:
    assert translate({"weight": torch.ones(2, 2), "other": torch.ones(1)}, {}) is None


def test_what_is_encoded_is_read() -> None:
    found = translate(encode(torch.eye(64), "hqq8"), {}, "p", (64, 64))
    assert found is not None
    assert (found.decode() - torch.eye(64)).abs().max() < 1e-2
