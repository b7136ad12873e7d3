"""What mlx-lm wrote, and what is wrong with a layer."""

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
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook
from tramontane_quant_afq.encode import encode
from tramontane_quant_afq.layers import memory, translate
from tramontane_quant_afq.plain import decode
from tramontane_quant_afq.plugin import quantizers

GOLDEN = ["affine-3-g32", "affine-4", "affine-5", "mixed-3-6", "mxfp4", "nvfp4"]


def digest(weight: Tensor) -> str:
    return hashlib.sha256((weight.float() + 0.0).numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("kind", GOLDEN)
def test_what_mlx_lm_wrote_decodes_bit_for_bit(
    kind: str, golden: Callable[[str], Path], load: Any
) -> None:
    model = load(golden(kind)).model
    expected = json.loads((golden(kind) / "expected.json").read_text())["weights"]
    assert len(expected) == 9
    for name, said in expected.items():
        layout = model.get_submodule(name.removesuffix(".weight")).weight
        assert isinstance(layout, Affine | Codebook), name
        weight = layout.decode(getattr(torch, said["dtype"]))
        assert list(weight.shape) == said["shape"]
        assert digest(weight) == said["sha256"], name


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group", [16, 32, 64, 128])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_width_is_the_plain_stream_of_bits(bits: int, group: int, dtype: torch.dtype) -> None:
    torch.manual_seed(bits)
    words = torch.randint(0, 256, (3, 2 * group * bits // 8), dtype=torch.uint8)
    scales, biases = torch.randn(2, 3, 2).to(dtype)
    tensors = {"weight": words.view(torch.uint32), "scales": scales, "biases": biases}
    config = {"bits": bits, "group_size": group}
    layout = translate(tensors, config, shape=(3, 2 * group))
    assert isinstance(layout, Affine)
    assert torch.equal(layout.decode(), decode(tensors, config))


@pytest.mark.parametrize("mode", ["mxfp4", "nvfp4", "mxfp8"])
def test_floats_are_their_definition(mode: str) -> None:
    torch.manual_seed(0)
    tensors = encode(torch.randn(4, 64), mode)
    layout = translate(tensors, {"bits": 8 if mode == "mxfp8" else 4, "group_size": None} | {
        "mode": mode})  # fmt: skip
    assert isinstance(layout, Codebook)
    plain = decode(tensors, {"mode": mode, "bits": layout.bits})
    assert torch.equal(layout.decode(), plain)


def test_experts_lie_below_each_other() -> None:
    torch.manual_seed(0)
    each = [encode(torch.randn(4, 64), "afq3") for _ in range(3)]
    stacked = {name: torch.stack([one[name] for one in each]) for name in each[0]}
    config = {"bits": 3, "group_size": 64}
    layout = translate(stacked, config, shape=(12, 64))
    assert layout is not None
    parts = [translate(one, config) for one in each]
    assert torch.equal(layout.decode(), torch.cat([part.decode() for part in parts if part]))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_metal_is_what_transformers_computes(bits: int) -> None:
    metal = pytest.importorskip("transformers.integrations.metal_quantization")
    torch.manual_seed(0)
    weight = torch.randn(4, 128).bfloat16()
    words, scales, biases = metal._affine_quantize_tensor(weight, 64, bits)
    scales, biases = scales.bfloat16(), biases.bfloat16()
    config = {"bits": bits, "group_size": 64, "quant_method": "metal", "modules_to_not_convert": []}
    tensors = {"weight": words, "scales": scales, "qbiases": biases}
    layout = translate(tensors, config, "p", (4, 128))
    assert layout is not None
    expected = metal._affine_dequantize_tensor(words, scales, biases, 64, bits)
    assert torch.equal(layout.decode(), expected)


OVERRIDES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "as the others": ({}, (4, 32)),
    "its own": ({"p": {"bits": 8, "group_size": 64, "mode": "affine"}}, (8, 64)),
    "null is the mode's": ({"p": {"bits": 8, "group_size": None}}, (8, 64)),
    "absent is the mode's, not the others'": ({"p": {}}, (4, 64)),
    "true is as the others": ({"p": True}, (4, 32)),
}


@pytest.mark.parametrize("case", OVERRIDES)
def test_a_layer_has_its_own_settings(case: str) -> None:
    own, (bits, group) = OVERRIDES[case]
    torch.manual_seed(0)
    columns = 128
    tensors = {
        "weight": torch.zeros(2, columns * bits // 32, dtype=torch.uint32),
        "scales": torch.ones(2, columns // group), "biases": torch.ones(2, columns // group),
    }  # fmt: skip
    layout = translate(tensors, {"bits": 4, "group_size": 32, **own}, "p", (2, columns))
    assert isinstance(layout, Affine)
    assert (layout.bits, layout.group) == (bits, group)


def test_an_override_without_a_mode_is_affine_below_mxfp4() -> None:
    """As in gpt-oss of mlx-community: mxfp4 for experts, affine for the rest."""
    config = {"bits": 4, "group_size": 32, "mode": "mxfp4", "p": {"bits": 8, "group_size": 64}}
    layout = translate(encode(torch.randn(2, 64), "afq8"), config, "p")
    assert isinstance(layout, Affine)
    assert translate({"weight": torch.ones(2, 2), "bias": torch.ones(2)}, {**config, "q": False},
                     "q") is None  # fmt: skip


def test_one_bit_takes_two_in_memory() -> None:
    infos = {"weight": TensorInfo((8, 4), "U32", 128), "scales": TensorInfo((8, 2), "F16", 32)}
    assert memory(infos, {"bits": 1, "group_size": 64}) == 2 * 128 + 32
    assert memory(infos, {"bits": 4, "group_size": 64}) == 128 + 32


@pytest.mark.parametrize(
    ("config", "claimed"),
    [
        ({"bits": 4, "group_size": 64}, True),
        ({"bits": 4, "group_size": 64, "mode": "affine", "lm_head": False}, True),
        ({"bits": None, "group_size": None, "mode": "mxfp4"}, True),
        ({"bits": 4, "group_size": 128, "desc_act": False, "sym": True}, False),
        ({"bits": 4}, False),
    ],
)
def test_configurations_without_a_method(config: dict[str, Any], claimed: bool) -> None:
    (offer,) = quantizers()
    assert told(config, offer.told_by) == claimed


def layer(**changed: Tensor | None) -> dict[str, Tensor]:
    made = {**encode(torch.ones(4, 64), "afq4"), **changed}
    return {name: tensor for name, tensor in made.items() if tensor is not None}


USUAL = {"bits": 4, "group_size": 64, "mode": "affine"}
WRONG: dict[str, tuple[dict[str, Tensor], dict[str, Any], str]] = {
    "no scales": (layer(scales=None), USUAL, "p: scales missing"),
    "no biases": (layer(biases=None), USUAL, "p: biases missing"),
    "metal's name": (layer(), USUAL | {"quant_method": "metal"}, "p: qbiases missing"),
    "words": (layer(weight=torch.ones(4, 8)), USUAL, "must be uint32 (rows, words), not float32"),
    "bits": (layer(), USUAL | {"bits": 7}, "bits=7 is not one of 1, 2, 3, 4, 5, 6, 8"),
    "bits of another": (
        layer(), USUAL | {"bits": 8},
        "p: 8 words of 32 bits in a row are 32 columns of 8 bits, the model wants 64",
    ),
    "no number": (layer(), USUAL | {"bits": "4"}, "bits='4' is no whole number above 0"),
    "group": (layer(), USUAL | {"group_size": 32}, "scales are (4, 1); 64 columns in groups of 32"),
    "no multiple": (layer(), USUAL | {"group_size": 48}, "no multiple of its group of 48"),
    "mode": (layer(), USUAL | {"mode": "nf4"}, "mode='nf4' is not one of affine, mxfp4"),
    "mode's bits": (layer(), USUAL | {"mode": "mxfp4"}, "mxfp4 has bits=4 and group_size=32"),
    "scales of floats": (
        layer(scales=torch.ones(4, 2)), USUAL | {"mode": "mxfp4", "group_size": 32},
        "mxfp4 has scales in uint8",
    ),
    "types": (layer(biases=torch.ones(4, 1).half()), USUAL, "floats of one type and shape"),
    "false": (layer(), USUAL | {"p": False}, "says false, but it has scales"),
    "inputs": (
        layer(), USUAL | {"p": {**USUAL, "quantize_input": True}}, "quantize_input=True, which is",
    ),
    "option": (layer(), USUAL | {"linear_class": "x"}, "linear_class='x', which is not known"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    tensors, config, said = WRONG[case]
    with pytest.raises(CheckpointError, match=re.escape(said)):
        translate(tensors, config, "p", (4, 64))
