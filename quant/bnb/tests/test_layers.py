"""The layers of bitsandbytes: what it makes of numbers and decodes them to, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
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
from tramontane.layouts import Dense, nbytes
from tramontane.registry import Registry
from tramontane_quant_bnb.encode import encode, settings
from tramontane_quant_bnb.layers import translate
from tramontane_quant_bnb.memory import memory
from tramontane_quant_bnb.plugin import quantizers

ROWS, COLUMNS = 300, 128
STATE = "weight.quant_state.bitsandbytes__nf4"
# sha256 of what bitsandbytes 0.50.2 makes of `numbers` on a CPU, and of what it decodes that to
MADE = [
    ("nf4", "float32", "9620ebba5c7a0304", "0402e14fcbd61d05"),
    ("nf4-double", "float32", "178e070e3b24b3e1", "423df390a686da47"),
    ("fp4", "float32", "7ba7adab3219a9af", "d03972a765027996"),
    ("fp4-double", "float32", "66b4c7f9a03b5929", "7dc8a4aefe093841"),
    ("int8", "float32", "0524f100b7b363dd", "8cf67a227c1cb608"),
    ("nf4", "bfloat16", "7e65780500e0866a", "4636abee79cbc105"),
    ("nf4-double", "bfloat16", "40d4bef4ed59b814", "09d8474e4b8a8454"),
    ("fp4", "bfloat16", "d9e1569a4030be35", "3873cc6e8f70226a"),
    ("fp4-double", "bfloat16", "a8cf6b2776bd89f8", "3873cc6e8f70226a"),
    ("int8", "bfloat16", "4ffad849933a8fcc", "6099f423bc8f02af"),
]


def numbers(rows: int = ROWS, columns: int = COLUMNS) -> Tensor:
    """From -1 to 1, the same everywhere."""
    count = torch.arange(1, 1 + rows * columns, dtype=torch.int64)
    mixed = count * 2654435761 % 4294967291 * 40503 % 4294967296
    return ((mixed - (1 << 31)).double() / (1 << 31)).pow(3).float().view(rows, columns)


def digest(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize(("kind", "dtype", "made", "decoded"), MADE)
def test_it_makes_and_decodes_what_bitsandbytes_does(
    kind: str, dtype: str, made: str, decoded: str
) -> None:
    tensors = encode(numbers().to(getattr(torch, dtype)), kind)
    nested = ("weight.nested_absmax", "weight.nested_quant_map") if "double" in kind else ()
    state = f"weight.quant_state.bitsandbytes__{kind.partition('-')[0]}"
    names = ("weight", "SCB") if kind == "int8" else ("weight", "weight.absmax", *nested, state)
    assert digest(*(tensors[name] for name in names))[:16] == made
    layout = translate(tensors, {}, "x", (ROWS, COLUMNS))
    assert layout is not None
    assert not check_layout(layout, (ROWS, COLUMNS))
    weight = layout.decode(torch.float32 if kind == "int8" else getattr(torch, dtype))
    assert digest(weight.float() + 0.0)[:16] == decoded


@pytest.mark.parametrize("kind", ["fp4", "nf4-double"])
def test_what_bitsandbytes_wrote_is_read_bit_by_bit(kind: str, golden: Path) -> None:
    folder = golden / kind
    loaded = load_model(
        open_checkpoint(folder, Registry()), Registry(), LoadOptions(device="reference")
    )
    expected = json.loads((folder / "expected.json").read_text())["weights"]
    for name, said in expected.items():
        layout: Any = loaded.model.get_submodule(name.removesuffix(".weight")).weight
        weight = layout.decode(getattr(torch, said["dtype"])).float() + 0.0
        assert digest(weight) == said["sha256"], name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_codes_may_be_stored_as_other_numbers(dtype: torch.dtype) -> None:
    tensors = encode(numbers(), "nf4")
    stored = {**tensors, "weight": tensors["weight"].view(-1).view(dtype)[:, None]}
    one, two = translate(tensors, {}), translate(stored, {})
    assert one is not None
    assert two is not None
    assert torch.equal(one.decode(), two.decode())


def with_state(tensors: dict[str, Tensor], **differs: Any) -> dict[str, Tensor]:
    said = json.loads(bytes(tensors[STATE].tolist())) | differs
    kept = {key: value for key, value in said.items() if value is not None}
    return {**tensors, STATE: torch.tensor(list(json.dumps(kept).encode()), dtype=torch.uint8)}


@pytest.mark.parametrize(
    ("rows", "columns", "kind"),
    [(64, 96, "codebook4/g32/1-level"), (8, 80, "codebook4/g16/1-level"), (16, 24, "float32")],
)
def test_blocks_that_go_from_row_to_row(rows: int, columns: int, kind: str) -> None:
    tensors = encode(numbers(rows, columns), "nf4")
    layout = translate(tensors, {}, "x", (rows, columns))
    assert layout is not None
    assert layout.kind == kind
    flat = {**tensors}
    alike: Any = translate(with_state(flat, shape=[rows * columns // 64, 64]), {})
    assert torch.equal(layout.decode(), alike.decode().view(rows, columns))


def test_blocks_of_other_sizes() -> None:
    tensors = encode(numbers(), "nf4")
    twice = {**tensors, "weight.absmax": tensors["weight.absmax"].repeat_interleave(2)}
    one: Any = translate(tensors, {})
    two: Any = translate(with_state(twice, blocksize=32), {})
    assert two.group == 32
    assert torch.equal(one.decode(), two.decode())


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_where_the_family_transposes_it_is_dense(kind: str) -> None:
    tensors = encode(numbers(), kind)
    layout: Any = translate(tensors, {}, "x", (COLUMNS, ROWS), transposed=True)
    plain = translate(tensors, {})
    assert plain is not None
    assert isinstance(layout, Dense)
    assert torch.equal(layout.data, plain.decode().T)


def test_old_checkpoints_name_no_method_and_no_format_of_weights() -> None:
    (offer,) = quantizers()
    assert told({"load_in_8bit": True}, offer.told_by)
    assert told({"load_in_8bit": False, "load_in_4bit": True}, offer.told_by)
    assert not told({"bits": 4}, offer.told_by)
    tensors = encode(numbers(), "int8")
    del tensors["weight_format"]
    assert translate(tensors, {}) is not None
    assert translate({"weight": torch.ones(2, 2)}, {}) is None


def without(*names: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {k: v for k, v in tensors.items() if k not in names}


def changed(**parts: Tensor) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: tensors | {k.replace("__", "."): v for k, v in parts.items()}


BROKEN: dict[str, tuple[str, Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "no weight": ("nf4", without("weight"), "x: weight missing"),
    "no scales": ("nf4", without("weight.absmax"), "x: weight.absmax missing"),
    "no table": ("nf4", without("weight.quant_map"), "x: weight.quant_map missing"),
    "no state": ("nf4", without(STATE), "or weight.quant_state.bitsandbytes__fp4 missing"),
    "codes alone": (
        "int8", without("SCB", "weight_format"), "it has codes, and neither SCB nor weight.absmax"
    ),
    "bytes": ("nf4", changed(weight=torch.zeros(9, 1).byte()), "weight has 9 bytes; 300 x 128"),
    "scales": ("nf4", changed(weight__absmax=torch.ones(9)), "has 9 numbers; blocks of 64 make"),
    "scales' type": (
        "nf4", changed(weight__absmax=torch.ones(600).byte()), "and its state has no nested_blocks"
    ),
    "table": ("nf4", changed(weight__quant_map=torch.ones(16)), "is not nf4's table of 16 numbers"),
    "type": ("nf4", lambda t: with_state(t, quant_type="fp4"), "says quant_type 'fp4', which must"),
    "dtype": ("nf4", lambda t: with_state(t, dtype="int8"), "dtype 'int8' is not one of float16"),
    "shape": ("nf4", lambda t: with_state(t, shape=[3]), "shape [3] is not that of a matrix"),
    "other shape": (
        "nf4", lambda t: with_state(t, shape=[128, 300]), "its state says (128, 300), the model w"
    ),
    "blocks": ("nf4", lambda t: with_state(t, blocksize=0), "blocksize 0 must be a positive"),
    "not JSON": ("nf4", lambda t: {**t, STATE: t[STATE][:9]}, "bitsandbytes__nf4 is not JSON"),
    "offset": ("nf4-double", lambda t: with_state(t, nested_offset="a"), "nested_offset 'a' is"),
    "nested": ("nf4-double", without("weight.nested_absmax"), "x: weight.nested_absmax missing"),
    "nested table": (
        "nf4-double", changed(weight__nested_quant_map=torch.ones(2)), "must have 256 numbers"
    ),
    "nested blocks": (
        "nf4-double", lambda t: with_state(t, nested_blocksize=8), "nested blocks of 8 need uint8"
    ),
    "no nested blocks": (
        "nf4-double", lambda t: with_state(t, nested_blocksize=None), "nested_blocksize None must"
    ),
    "format": (
        "int8", changed(weight_format=torch.tensor(2)), "weight_format 2 is stored for one GPU's"
    ),
    "SCB": ("int8", changed(SCB=torch.ones(3)), "SCB is float32 (3,); 300 rows need a number each"),
    "int8": ("int8", changed(weight=torch.ones(3, 3)), "weight is float32 (3, 3), SCB needs int8"),
    "rows": (
        "int8", lambda t: {k: v[:3] if v.ndim else v for k, v in t.items()}, "it is (3, 128), the m"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    kind, change, why = BROKEN[case]
    with pytest.raises(CheckpointError, match=re.escape(why)):
        translate(change(encode(numbers(), kind)), {}, "x", (ROWS, COLUMNS))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(300, 128), (64, 96), (16, 24)])
@pytest.mark.parametrize("kind", ["nf4", "nf4-double", "int8"])
def test_the_plan_knows_what_a_layer_takes(
    kind: str, shape: tuple[int, int], transposed: bool
) -> None:
    tensors = encode(numbers(*shape), kind)
    wanted = shape[::-1] if transposed else shape
    layout = translate(tensors, {}, "x", wanted, transposed)
    assert layout is not None
    infos = {name: TensorInfo(tuple(t.shape), "?", t.nbytes) for name, t in tensors.items()}
    assert memory(infos, {}, "x", wanted, transposed) == nbytes(layout)


@pytest.mark.parametrize(
    ("kind", "key"), [("nf4-double", "bnb_4bit_use_double_quant"), ("int8", "load_in_8bit")]
)
def test_settings_are_those_of_one_kind(kind: str, key: str) -> None:
    said = settings({"a": kind, "b": kind})
    assert said["quant_method"] == "bitsandbytes"
    assert said[key] is True
    with pytest.raises(ValueError, match="one kind for a whole model, not fp4, "):
        settings({"a": kind, "b": "fp4"})


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_numbers_that_cannot_be_quantized_are_an_error(kind: str) -> None:
    with pytest.raises(ValueError, match="infinite or"):
        encode(torch.full((2, 64), torch.inf), kind)
    with pytest.raises(ValueError, match="two numbers in a byte"):
        encode(torch.ones(1, 3), "nf4")


def test_rows_of_zeros_stay_zeros() -> None:
    for kind in ("nf4", "nf4-double", "int8"):
        layout = translate(encode(torch.zeros(4, 64), kind), {})
        assert layout is not None
        assert not layout.decode().any()
