"""Layers that optimum-quanto quantized: their numbers are its own, and whole models compute so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Layout, nbytes
from tramontane.registry import known
from tramontane.testing.quantized_folder import apart, load_folder, write_pair
from tramontane_quant_quanto.layers import translate
from tramontane_quant_quanto.memory import memory
from tramontane_quant_quanto.names import of_the_model
from tramontane_quant_quanto.settings import weights_of

from .vectors import BF16, CASES, SHA, eight, floats, ints, packed, sha, whole

PATH = "model.layers.3.mlp.up_proj"


def read(name: str) -> Layout:
    kind, shape, tensors = CASES[name]
    layout = translate(tensors, {PATH: {"weights": kind}}, PATH, shape)
    assert layout is not None
    return layout


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_quanto(name: str) -> None:
    layout = read(name)
    assert layout.shape == CASES[name][1]
    assert sha(layout.decode()) == SHA[name]


@pytest.mark.parametrize("name", CASES)
def test_the_plan_counts_what_is_held(name: str) -> None:
    kind, shape, tensors = CASES[name]
    infos = {part: TensorInfo(tuple(t.shape), "", t.nbytes) for part, t in tensors.items()}
    layout = read(name)
    table = layout.tensors()["table"].nbytes if "table" in layout.tensors() else 0
    counted = memory(infos, {"weights": kind}, PATH, shape)
    assert 0 <= counted - (nbytes(layout) - table) <= shape[1]  # a line that is filled up


def test_rows_of_zeros_are_zeros() -> None:
    """quanto divides them by a scale of 0, and stores what is not a number."""
    data = eight(torch.float8_e4m3fn).view(torch.uint8).index_fill(0, torch.tensor([2]), 0x7F)
    scale = floats(6, 1).index_fill(0, torch.tensor([2]), 0)
    tensors = {"weight._data": data.view(torch.float8_e4m3fn), "weight._scale": scale}
    layout = translate(tensors, {}, PATH)
    assert layout is not None
    weight = layout.decode()
    assert not weight[2].any()
    assert torch.equal(weight[3:], data.view(torch.float8_e4m3fn)[3:].float() * scale[3:])


def test_one_scale_for_a_matrix_of_one_row() -> None:
    layout = translate(
        {"weight._data": ints(1, 8).view(torch.int8), "weight._scale": torch.tensor(0.5)}, {}, PATH
    )
    assert layout is not None
    assert torch.equal(layout.decode(), ints(1, 8).view(torch.int8) * 0.5)


def test_bits_are_told_by_the_rows_where_nothing_else_tells() -> None:
    for bits in (2, 4):
        layout = translate(packed(8, 16, bits, BF16), {}, PATH)
        assert layout is not None
        assert layout.kind.startswith(f"affine{bits}/")
    with pytest.raises(CheckpointError, match="nothing tells whether"):
        translate(packed(2, 16, 4, BF16), {}, PATH)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"weights": "int4"}, "qint4"), ({"weights": "float8"}, "qfloat8_e4m3fn"),
        ({"weights": "qfloat8"}, "qfloat8_e4m3fn"), ({PATH: {"weights": "qint2"}}, "qint2"),
        ({PATH: {"weights": "none"}}, None), ({}, None), ({"weights": None}, None),
    ],
)  # fmt: skip
def test_settings(config: dict[str, Any], found: str | None) -> None:
    assert weights_of(config, PATH) == found


def test_names() -> None:
    assert of_the_model("a.q_proj.input_scale", {}) is None
    assert of_the_model("a.norm.output_scale", {}) is None
    for name in ("a.q_proj.weight._scale", "a.q_proj.bias", "a.logit_scale"):
        assert of_the_model(name, {}) == name


def test_a_plain_matrix_is_left() -> None:
    assert translate({"weight": torch.ones(4, 4)}, {}, PATH) is None


INT8 = whole(ints(6, 40).view(torch.int8), BF16)
FOUR = packed(6, 40, 4, BF16)
BROKEN: dict[str, tuple[dict[str, Tensor], dict[str, Any], str]] = {
    "type": (INT8, {"weights": "int3"}, "weights='int3' is not one of qint4"),
    "type of words": (INT8, {PATH: {"weights": 8}}, "weights=8 is not one of"),
    "other type": (INT8, {"weights": "float8"}, "its weights are qfloat8_e4m3fn"),
    "other bits": (INT8, {"weights": "int4"}, "its weights are qint4"),
    "no data": ({"weight._scale": floats(6, 1)}, {}, "weight._data is missing"),
    "no scale": ({"weight._data": ints(6, 8)}, {}, "weight._scale is missing"),
    "no shift": (
        {name: FOUR[name] for name in FOUR if "shift" not in name}, {}, "weight._shift is missing",
    ),
    "vector": (INT8 | {"weight._data": INT8["weight._data"][0]}, {}, "its data is int8 (40,)"),
    "bytes": (INT8 | {"weight._data": ints(6, 40)}, {}, "a matrix of int8 or float8"),
    "scales": (INT8 | {"weight._scale": floats(5, 1)}, {}, "scales of (5, 1) do not belong"),
    "scales of columns": (INT8 | {"weight._scale": floats(1, 6)}, {}, "scales of (1, 6) do not"),
    "whole scales": (INT8 | {"weight._scale": ints(6, 1)}, {}, "its scales are uint8 (6, 1)"),
    "lines": (FOUR, {"weights": "int2"}, "3 rows of packed codes do not hold 6 groups of qint2"),
    "scales of other groups": (
        FOUR | {"weight._scale": floats(20, 1, dtype=BF16)}, {}, "do not hold 20 groups",
    ),
    "shifts": (FOUR | {"weight._shift": floats(5, 1, dtype=BF16)}, {}, "5 shifts do not belong"),
    "shifts of another type": (
        FOUR | {"weight._shift": floats(6, 1)}, {}, "its shifts are float32 (6, 1)",
    ),
    "packed words": (
        FOUR | {"weight._data._data": ints(3, 40).int()}, {}, "not rows of packed codes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name: str) -> None:
    tensors, config, said = BROKEN[name]
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        translate(tensors, config, PATH, (6, 40))
    assert PATH in str(caught.value)


def test_groups_of_another_matrix_are_named() -> None:
    with pytest.raises(CheckpointError, match=re.escape("6 groups of 40 do not make weights")):
        translate(FOUR, {}, PATH, (6, 48))


SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 192, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SMALL,
    "Qwen3": SMALL | {"head_dim": 48, "tie_word_embeddings": True},
}
TOKENS = [1, 17, 60, 5, 40, 33, 8, 2]
TYPES = {"q_proj": "qint8", "o_proj": "qfloat8_e4m3fn", "down_proj": "qint2"}


def quantize(name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
    """As QuantizedModelForCausalLM saves a model, with types that depend on the layer's name."""
    if "proj" not in name and "lm_head" not in name:
        return None
    path, kind = name.removesuffix(".weight"), TYPES.get(name.split(".")[-2], "qint4")
    ones = {f"{path}.input_scale": torch.ones(()), f"{path}.output_scale": torch.ones(())}
    if kind in ("qint8", "qfloat8_e4m3fn"):
        dtype = torch.int8 if kind == "qint8" else torch.float8_e4m3fn
        scale = tensor.abs().amax(1, keepdim=True) / (127 if kind == "qint8" else 448)
        made = tensor / scale
        data = (made.round() if kind == "qint8" else made).to(dtype)
        return {f"{name}._data": data, f"{name}._scale": scale, **ones}, data.float() * scale
    bits, group = int(kind[-1]), 96
    rows = tensor.reshape(-1, group)
    least = rows.amin(1, keepdim=True)
    scale = (rows.amax(1, keepdim=True) - least) / ((1 << bits) - 1)
    codes = ((rows - least) / scale).round().to(torch.uint8)
    each = 8 // bits
    lines = torch.nn.functional.pad(codes, (0, 0, 0, -len(codes) % each)).unflatten(0, (each, -1))
    data = sum(lines[part] << part * bits for part in range(each))
    assert isinstance(data, Tensor)
    parts = {f"{name}._data._data": data, f"{name}._scale": scale, f"{name}._shift": -least}
    return parts | ones, (scale * codes + least).reshape(tensor.shape)


def saved(family: str, folder: Path) -> tuple[Path, Path]:
    """A folder with quanto's map beside the model, and the same in plain numbers."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], initializer_range=0.1)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    model.save_pretrained(folder / "saved")
    said = json.loads((folder / "saved" / "config.json").read_text())
    tensors = load_file(folder / "saved" / "model.safetensors")
    packed, plain = write_pair(folder, said, tensors, {"quant_method": "quanto"}, quantize)
    (packed / "config.json").write_text(json.dumps(said))
    return packed, plain


def quanto_map(folder: Path) -> dict[str, dict[str, str]]:
    paths = {
        name.partition(".weight._")[0]
        for name in load_file(folder / "model.safetensors") if ".weight._" in name
    }  # fmt: skip
    return {
        path: {"weights": TYPES.get(path.split(".")[-1], "qint4"), "activations": "none"}
        for path in paths
    }


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_decoded_weights(family: str, device: str, tmp_path: Path) -> None:
    packed, plain = saved(family, tmp_path)
    name = "quanto_qmap.json" if device == "cpu" else "quantization_map.json"
    (packed / name).write_text(json.dumps(quanto_map(packed)))
    assert apart(packed, plain, TOKENS, device) < 1e-4
    kinds = set(load_folder(packed).report.layouts)
    assert {"affine4/g96/1-level/min", "affine2/g96/1-level/min"} <= kinds


def test_a_pickled_state_dict_has_only_tensors(tmp_path: Path) -> None:
    packed, plain = saved("Llama", tmp_path)
    (packed / "quanto_qmap.json").write_text(json.dumps(quanto_map(packed)))
    torch.save(load_file(packed / "model.safetensors"), packed / "pytorch_model.bin")
    (packed / "model.safetensors").unlink()
    assert apart(packed, plain, TOKENS) < 1e-6


def test_a_map_that_contradicts_its_tensors(tmp_path: Path) -> None:
    packed, _ = saved("Llama", tmp_path)
    path = "model.layers.0.mlp.up_proj"
    wrong = quanto_map(packed) | {path: {"weights": "qint8"}}
    (packed / "quanto_qmap.json").write_text(json.dumps(wrong))
    with pytest.raises(CheckpointError, match="do not hold 192 groups of qint8") as caught:
        load_folder(packed)
    assert path in str(caught.value)


def test_without_the_plugin_the_way_to_it_is_said() -> None:
    assert known("quantizers")["quanto"] == "tramontane-quant-quanto"
