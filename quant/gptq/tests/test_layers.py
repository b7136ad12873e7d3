"""GPTQ's layers: what gptqmodel decodes them to, and what is refused."""

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
from tramontane.checkpoint.layout_checks import check_layout
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, Permuted, nbytes
from tramontane.registry import Registry
from tramontane_quant_gptq.encode import encode, settings
from tramontane_quant_gptq.layers import translate
from tramontane_quant_gptq.memory import memory

COLUMNS, ROWS = 192, 32
KINDS = [
    "gptq-4bit", "gptq-4bit-asym", "gptq-4bit-v2", "gptq-4bit-act-order", "gptq-3bit",
    "gptq-3bit-planar", "gptq-5bit",
]  # fmt: skip
# sha256 of what gptqmodel 7.7.0 decodes `layer`'s tensors to
DECODED = [
    ("gptq", 2, 64, False, "float16", "6d33201e71bdc1ce"),
    ("gptq", 3, 32, True, "bfloat16", "de316b3ca2440e88"),
    ("gptq", 4, 128, False, "float16", "a69df8aaa932bf89"),
    ("gptq", 4, -1, False, "bfloat16", "c484f1a32f786b3b"),
    ("gptq", 8, 32, True, "float16", "3915f57c86b0daf2"),
    ("gptq_v2", 4, 64, True, "bfloat16", "c2b57403bf9142bd"),
    ("gptq_p", 3, 32, False, "float16", "afafb4863665042d"),
    ("gptq_p", 5, 64, True, "bfloat16", "ef66710a1ad419ef"),
    ("gptq_p", 6, -1, False, "float16", "8222e65665a768e8"),
    ("gptq_p", 7, 32, True, "float32", "39ebdb7fc13f5d45"),
]


def words(rows: int, columns: int, seed: int) -> Tensor:
    """Any bits, the same everywhere."""
    count = torch.arange(seed, seed + rows * columns, dtype=torch.int64)
    mixed = count * 2654435761 % 4294967291 * 40503 % 4294967296
    return (mixed - (1 << 31)).to(torch.int32).view(rows, columns)


def layer(
    form: str = "gptq", bits: int = 4, group: int = 64, act_order: bool = False
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    size = COLUMNS if group == -1 else group
    groups, order = -(-COLUMNS // size), words(1, COLUMNS, 5)[0].argsort()
    group_of = torch.arange(COLUMNS) // size
    tensors = {
        "qweight": words(COLUMNS * bits // 32, ROWS, 1),
        "qzeros": words(groups, ROWS * bits // 32, 99),
        "scales": (words(groups, ROWS, 7).float() / 2**36).half(),
        "g_idx": (group_of[order] if act_order else group_of).int(),
    }
    said = {
        "quant_method": "gptq", "checkpoint_format": form, "bits": bits, "group_size": group,
        "desc_act": act_order, "sym": False,
    }  # fmt: skip
    return tensors, said


def digest(weight: Tensor) -> str:
    return hashlib.sha256((weight.float() + 0.0).contiguous().numpy().tobytes()).hexdigest()


@pytest.mark.parametrize(("form", "bits", "group", "act_order", "dtype", "expected"), DECODED)
def test_layers_decode_as_gptqmodel_decodes_them(
    form: str, bits: int, group: int, act_order: bool, dtype: str, expected: str
) -> None:
    tensors, said = layer(form, bits, group, act_order)
    layout = translate(tensors, said, "x", (ROWS, COLUMNS), model={"torch_dtype": dtype})
    assert layout is not None
    assert not check_layout(layout, (ROWS, COLUMNS))
    assert isinstance(layout, Permuted if act_order else Affine)
    assert digest(layout.decode(getattr(torch, dtype)))[:16] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_gptqmodel_wrote_is_read_bit_by_bit(kind: str, golden: Path) -> None:
    folder = golden / kind
    loaded = load_model(
        open_checkpoint(folder, Registry()), Registry(), LoadOptions(device="reference")
    )
    expected = json.loads((folder / "expected.json").read_text())["weights"]
    for name, said in expected.items():
        layout: Any = loaded.model.get_submodule(name.removesuffix(".weight")).weight
        assert digest(layout.decode(getattr(torch, said["dtype"]))) == said["sha256"], name
    assert loaded.report.bytes_in_memory <= loaded.report.bytes_in_file


def test_an_order_that_is_none_is_no_permutation_and_may_be_left_out() -> None:
    tensors, said = layer()
    whole: Any = translate(tensors, said)
    del tensors["g_idx"]
    without: Any = translate(tensors, said)
    assert isinstance(whole, Affine)
    assert torch.equal(whole.decode(), without.decode())
    # groups in another order, but side by side, keep the columns where they are
    tensors["g_idx"] = (2 - torch.arange(COLUMNS) // 64).int()
    assert isinstance(translate(tensors, said), Affine)


def test_groups_of_odd_sizes_are_divided_or_dense() -> None:
    tensors, said = layer(group=128)
    layout: Any = translate(tensors, said)
    assert layout.group == 64
    tensors["g_idx"] = tensors["g_idx"].clone()
    tensors["g_idx"][:5] = 1
    odd: Any = translate(tensors, said)
    assert isinstance(odd, Dense)
    assert torch.equal(odd.data[:, 5:].float(), layout.decode()[:, 5:])


def test_one_zero_where_all_are_the_middle() -> None:
    tensors, said = layer()
    tensors["qzeros"] = torch.full_like(tensors["qzeros"], 0x77777777)
    told: Any = translate(tensors, {**said, "sym": True})
    assert told.zero == 8
    kept: Any = translate(tensors, said)
    assert isinstance(kept.zero, Tensor)
    assert torch.equal(told.decode(), kept.decode())


def test_small_words_are_the_same_bytes() -> None:
    tensors, said = layer("gptq_v2")
    whole: Any = translate(tensors, said)
    half = tensors["qweight"].T.contiguous().view(torch.int16).T
    zeros = tensors["qzeros"].view(torch.int16)
    small: Any = translate(
        {**tensors, "qweight": half, "qzeros": zeros}, {**said, "pack_dtype": "int16"}
    )
    assert torch.equal(small.decode(), whole.decode())


DYNAMIC = {
    "lm_head": {"bits": 2},
    r"-:.*\.k_proj": {},
    r"+:model\.layers\.0\..*": {"bits": 8, "group_size": 32},
}


@pytest.mark.parametrize(
    ("path", "bits", "group"),
    [
        ("lm_head", 2, 64),
        ("lm_head.x", 4, 64),
        ("model.layers.0.q_proj", 8, 32),
        ("model.layers.00.q_proj", 4, 64),
        ("a.model.layers.0.q_proj", 4, 64),
    ],
)
def test_the_first_pattern_that_matches_counts(path: str, bits: int, group: int) -> None:
    tensors, said = layer(bits=bits, group=group)
    base = {**said, "bits": 4, "group_size": 64, "dynamic": DYNAMIC}
    layout: Any = translate(tensors, base, path)
    assert (layout.bits, layout.group) == (bits, group)


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "missing": ({"qzeros": None}, {}, "x: qzeros missing"),
    "order missing": ({"g_idx": None}, {"desc_act": True}, "g_idx missing, which desc_act needs"),
    "order negative": (
        {"g_idx": -torch.ones(COLUMNS).int()}, {}, "g_idx names group -1; there are groups 0 to 2"
    ),
    "order too large": (
        {"g_idx": torch.arange(COLUMNS).int()}, {}, "g_idx names group 191; there are groups 0 to 2"
    ),
    "order too short": (
        {"g_idx": torch.zeros(64).int()}, {}, "g_idx is int32 (64,); it must name 192 columns'"
    ),
    "order of floats": ({"g_idx": torch.zeros(COLUMNS)}, {}, "g_idx is float32 (192,)"),
    "scales": ({"scales": torch.ones(2, ROWS)}, {}, "64 makes 3 groups of 192 columns, and there"),
    "scales' rows": ({"scales": torch.ones(3, 8)}, {}, "scales are float32 (3, 8); 32 rows need"),
    "scales' type": ({"scales": torch.ones(3, ROWS).int()}, {}, "scales are int32 (3, 32)"),
    "not a number": (
        {"scales": torch.full((3, ROWS), torch.nan)}, {}, "96 of its 96 scales are infinite or not"
    ),
    "zeros": ({"qzeros": torch.ones(2, 4).int()}, {}, "qzeros are int32 (2, 4); 3 groups of 32"),
    "zeros' width": ({"qzeros": torch.ones(3, 1).int()}, {}, "qzeros are int32 (3, 1)"),
    "zeros' type": ({"qzeros": torch.ones(3, 4)}, {}, "qzeros must be words in a matrix, not fl"),
    "codes": ({"qweight": torch.ones(24, ROWS)}, {}, "qweight must be words in a matrix, not fl"),
    "other bits": ({}, {"bits": 8}, "qweight has codes of 8 bits for 96 columns, the matrix has"),
    "planes": ({}, {"bits": 5, "checkpoint_format": "gptq_p"}, "5 bits need a multiple of 5"),
    "bits": ({}, {"bits": 9}, "9 bits is not one of 2, 3, 4, 5, 6, 7, 8"),
    "no bits": ({}, {"bits": None}, "None bits is not one of"),
    "group": ({}, {"group_size": 0}, "group_size 0 must be positive, or -1 for all columns"),
    "marlin": ({}, {"checkpoint_format": "marlin"}, "'marlin' is stored for one engine's kernels"),
    "old marlin": ({}, {"is_marlin_format": True}, "save it as gptq with the tool that made it"),
    "format": ({}, {"checkpoint_format": "gptq_v9"}, "'gptq_v9' is not known; use a version of"),
    "words": ({}, {"bits": 3, "pack_dtype": "int16"}, "pack_dtype 'int16' with 3 bits is not"),
    "adapter": ({}, {"adapter": {"path": "a"}}, "an adapter is to be added to it ({'path': 'a'})"),
    "bias": ({"bias": torch.ones(ROWS)}, {}, "it has a bias that is not zero"),
    "left out": ({}, {"dynamic": {"-:x": {}}}, "dynamic leaves it out ('-:x'), and yet it has"),
    "pattern": ({}, {"dynamic": {"(": {}}}, "dynamic has a pattern that cannot be read: '('"),
    "dynamic": ({}, {"dynamic": [1]}, "dynamic must be an object, not [1]"),
    "override": ({}, {"dynamic": {"x": 3}}, "dynamic['x'] must be an object, not 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    (tensors, said), (other, differs, why) = layer(), BROKEN[case]
    given = {name: tensor for name, tensor in {**tensors, **other}.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=re.escape(why)):
        translate(given, {**said, **differs}, "x", (ROWS, COLUMNS))


def test_a_shape_that_the_model_does_not_have_is_named() -> None:
    tensors, said = layer()
    with pytest.raises(CheckpointError, match="32 rows, the model wants 64"):
        translate(tensors, said, "x", (64, COLUMNS))
    with pytest.raises(CheckpointError, match="for 192 columns, the matrix has 256"):
        translate(tensors, said, "x", (ROWS, 256))


def test_a_bias_of_zeros_and_plain_weights_are_left_alone() -> None:
    tensors, said = layer()
    assert translate({**tensors, "bias": torch.zeros(ROWS)}, said) is not None
    assert translate({"weight": torch.ones(2, 2)}, said) is None


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("form", "bits", "group", "act_order", "dtype", "expected"), DECODED)
def test_the_plan_knows_what_a_layer_takes(
    form: str, bits: int, group: int, act_order: bool, dtype: str, expected: str, transposed: bool
) -> None:
    tensors, said = layer(form, bits, group, act_order)
    shape = (COLUMNS, ROWS) if transposed else (ROWS, COLUMNS)
    model = {"dtype": dtype}
    layout = translate(tensors, said, "x", shape, transposed, model)
    assert layout is not None
    infos = {
        name: TensorInfo(tuple(t.shape), {2: "F16", 4: "I32"}[t.dtype.itemsize], t.nbytes)
        for name, t in tensors.items()
    }
    assert memory(infos, said, "x", shape, transposed, model) == nbytes(layout)


@pytest.mark.parametrize("kind", ["gptq4", "gptq8"])
def test_what_is_written_is_read_and_near(kind: str) -> None:
    weight = words(ROWS, COLUMNS, 3).double().div(2**31).pow(3).float()
    said = settings({"model.a": kind, "b": "gptq4"})
    layout: Any = translate(encode(weight, kind), said, "model.a", (ROWS, COLUMNS))
    assert layout.kind == f"affine{kind[-1]}/g64/1-level/zero"
    step = layout.scale.float().max()
    assert (layout.decode() - weight).abs().max() <= 0.55 * step


def test_settings_say_which_layers_have_other_bits() -> None:
    said = settings({"a.b": "gptq4", "a.c": "gptq4", "lm_head": "gptq8"})
    assert (said["bits"], said["lm_head"], said["dynamic"]) == (
        4,
        True,
        {"+:lm_head$": {"bits": 8}},
    )


@pytest.mark.parametrize("shape", [(32, 40), (4, 64)])
def test_a_shape_that_cannot_be_written_is_an_error(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="gptq4 needs columns in multiples of 32 and rows in"):
        encode(torch.ones(shape), "gptq4")


def test_weights_beyond_float16_are_an_error() -> None:
    with pytest.raises(ValueError, match="gptq4 has no scale for weights as large as 1e"):
        encode(torch.full((8, 32), 1e9), "gptq4")
