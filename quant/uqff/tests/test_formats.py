"""Matrices of UQFF against what mistral.rs wrote, against plain decoders, and damaged."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook, Dense, RowGroups
from tramontane_quant_uqff.checks import inspect, verify
from tramontane_quant_uqff.container import Uqff
from tramontane_quant_uqff.encode import KINDS, encode
from tramontane_quant_uqff.formats import layout_of
from tramontane_quant_uqff.parts import DENSE, GGML
from tramontane_quant_uqff.plain import PLAIN

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden" / "quant" / "data" / "uqff"
WRITTEN = ["AFQ3", "AFQ4", "F8Q8", "FP8", "HQQ4", "MXFP4", "Q8_1"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_mistral_rs_wrote_decodes_bit_for_bit(kind: str) -> None:
    path = GOLDEN / kind / "tiny-0.uqff"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    opened = Uqff(path)
    expected = json.loads((path.parent / "expected.json").read_text())["weights"]
    assert opened.kinds.keys() == expected.keys()
    for name, said in expected.items():
        weight = opened.read(name).decode()
        assert hashlib.sha256((weight + 0.0).numpy().tobytes()).hexdigest() == said["sha256"], name
    assert verify(path) == []
    held = inspect(path)
    assert held["version"] == "1.2.0"
    assert held["counts"][kind.lower()] >= 7
    assert "model.norm.weight" in held["dense"]


BOUNDS = {
    "afq2": 0.6, "afq3": 0.3, "afq4": 0.15, "afq6": 0.04, "afq8": 0.02, "mxfp4": 0.5, "fp8": 0.04,
    "f8q8": 0.07, "hqq8": 0.02, "hqq4": 0.2, "q8_0": 0.02,
}  # fmt: skip
LAYOUTS = {"mxfp4": Codebook, "fp8": Codebook, "hqq8": RowGroups, "hqq4": RowGroups}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_close_to_the_weights_and_as_its_plain_decoder(kind: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(128, 64)
    made = encode(weight, kind)
    number = int(made["format"])
    layout = layout_of(number, made, "a.weight")
    assert isinstance(layout, LAYOUTS.get(kind, Affine))
    found = layout.decode()
    plain = PLAIN[number](made[""], made)
    assert torch.equal(found, plain)
    assert (found - weight).pow(2).mean().sqrt() < BOUNDS[kind]


def ggml(number: int, raw: Tensor, shape: list[int]) -> dict[str, Tensor]:
    return {
        "": raw, "format": torch.tensor(GGML, dtype=torch.uint8),
        "dtype": torch.tensor(number, dtype=torch.uint32),
        "shape": torch.tensor(shape, dtype=torch.uint32),
    }  # fmt: skip


def test_q8_k_has_a_scale_for_256() -> None:
    torch.manual_seed(0)
    raw = torch.randint(0, 256, (4, 292), dtype=torch.uint8)
    scale = torch.tensor([0.5, -2.0, 0.25, 3.0])
    raw[:, :4] = scale.view(torch.uint8).view(4, 4)
    codes = raw[:, 4:260].contiguous().view(torch.int8)
    layout = layout_of(GGML, ggml(15, raw.flatten(), [2, 512]), "a.weight")
    assert torch.equal(layout.decode(), (codes * scale[:, None]).view(2, 512))


@pytest.mark.parametrize(("number", "dtype"), [(0, torch.float32), (30, torch.bfloat16)])
def test_ggml_has_plain_types_too(number: int, dtype: torch.dtype) -> None:
    weight = torch.randn(3, 8).to(dtype)
    raw = weight.view(torch.uint8).flatten()
    layout = layout_of(GGML, ggml(number, raw, [3, 8]), "a.weight")
    assert isinstance(layout, Dense)
    assert torch.equal(layout.data, weight)


def test_experts_lie_below_each_other() -> None:
    torch.manual_seed(0)
    each = [encode(torch.randn(8, 64), "afq4") for _ in range(3)]
    stacked = {
        part: tensor if not tensor.ndim else torch.stack([one[part] for one in each])
        for part, tensor in each[0].items()
    }
    layout = layout_of(4, stacked, "a.weight")
    assert layout.shape == (24, 64)
    parts = [layout_of(4, one, "a.weight").decode() for one in each]
    assert torch.equal(layout.decode(), torch.cat(parts))


def test_a_dense_matrix_is_as_stored() -> None:
    weight = torch.randn(2, 3).half()
    layout = layout_of(DENSE, {"": weight}, "a.weight")
    assert isinstance(layout, Dense)
    assert layout.data is weight


def test_dense_experts_lie_below_each_other_too() -> None:
    weight = torch.randn(3, 4, 8)
    layout = layout_of(DENSE, {"": weight}, "a.weight")
    assert torch.equal(layout.decode(), weight.view(12, 8))


Q8 = encode(torch.ones(4, 64), "q8_0")
F8Q8 = encode(torch.ones(4, 64), "f8q8")
FP8 = encode(torch.ones(4, 64), "fp8")
HQQ4 = encode(torch.ones(64, 64), "hqq4")
WRONG: dict[str, tuple[dict[str, Tensor], str]] = {
    "blocks": (Q8 | {"": Q8[""][:-1]}, "271 bytes, Q8_0 of its shape has 272"),
    "type": (Q8 | {"dtype": torch.tensor(99)}, "dtype=99 is no type of GGML"),
    "columns": (Q8 | {"shape": torch.tensor([4, 65])}, "65 columns are no multiple of 32 (Q8_0)"),
    "shape": (Q8 | {"shape": torch.tensor([256])}, "its shape (256,) is not rows and columns"),
    "several": (Q8 | {"dtype": torch.tensor([8, 8])}, "dtype is torch.int64 (2,), not one whole"),
    "count": (F8Q8 | {"num_blocks": torch.tensor(3)}, "num_blocks=3, and 8 are there"),
    "floats": (FP8 | {"": torch.ones(4, 64)}, "weight is torch.float32"),
    "groups": (HQQ4 | {"scales": torch.ones(1, 3)}, "scale is torch.float32 (1, 3)"),
    "bits": (HQQ4 | {"bits": torch.tensor(7)}, "nbits=7 in the packing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    parts, said = WRONG[case]
    with pytest.raises(CheckpointError, match=rf"a\.weight: .*{re.escape(said)}"):
        layout_of(int(parts["format"]), parts, "a.weight")


@pytest.mark.parametrize(
    ("weight", "kind"),
    [(torch.ones(2, 48), "afq4"), (torch.ones(2, 33), "f8q8"), (torch.ones(3, 5), "hqq4"),
     (torch.full((2, 64), torch.nan), "fp8"), (torch.ones(2, 64), "q4_k")],
)  # fmt: skip
def test_what_cannot_be_encoded_is_refused(weight: Tensor, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        encode(weight, kind)
