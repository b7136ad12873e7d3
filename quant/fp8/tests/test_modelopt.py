"""ModelOpt's FP8 and NVFP4."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import nbytes
from tramontane.testing.quantized_folder import apart, load_folder, write_pair
from tramontane_quant_fp8.memory import modelopt
from tramontane_quant_fp8.modelopt import translate

from .tiny_models import TOKENS, saved

FP8: dict[str, Any] = {"quant_method": "modelopt", "quant_algo": "FP8"}
NVFP4: dict[str, Any] = {"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4"}}
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def four_bits(rows: int, columns: int) -> tuple[dict[str, Tensor], Tensor]:
    """A layer and its numbers."""
    codes = torch.randint(0, 16, (rows, columns), dtype=torch.uint8)
    scale = (torch.rand(rows, columns // 16) * 400).to(torch.float8_e4m3fn)
    above = torch.tensor(0.00031)
    numbers = (scale.float() * above).repeat_interleave(16, 1) * E2M1[codes.long()]
    raw = codes[:, ::2] | codes[:, 1::2] << 4
    return {"weight": raw, "weight_scale": scale, "weight_scale_2": above}, numbers


def test_nvfp4_multiplies_by_both_scales() -> None:
    layer, numbers = four_bits(24, 64)
    layout = translate(layer | {"input_scale": torch.tensor(0.1)}, NVFP4)
    assert layout.kind == "codebook4/g16/2-level"
    assert torch.equal(layout.decode(), numbers)
    infos = {n: TensorInfo(tuple(t.shape), "U8", t.nbytes) for n, t in layer.items()}
    assert modelopt(infos, NVFP4) >= nbytes(layout) - 16 * 4


def test_stacked_experts_have_a_scale_each() -> None:
    layers = [four_bits(8, 32) for _ in range(3)]
    stacked = {name: torch.stack([layer[name] for layer, _ in layers]) for name in layers[0][0]}
    stacked["weight_scale_2"] *= torch.tensor([1.0, 2.0, 4.0])
    layout = translate(stacked, NVFP4)
    expected = torch.cat([numbers * 2**i for i, (_, numbers) in enumerate(layers)])
    assert torch.equal(layout.decode(), expected)


def test_layers_have_algorithms_of_their_own() -> None:
    own = {"a.q": {"quant_algo": "NVFP4"}, "a.k": {"quant_algo": "FP8"}}
    mixed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": own}
    layer, numbers = four_bits(8, 32)
    assert torch.equal(translate(layer, mixed, "a.q").decode(), numbers)
    with pytest.raises(CheckpointError, match=r"a\.k: its weight is uint8, which quant_algo 'FP8'"):
        translate(layer, mixed, "a.k")


LAYER = four_bits(8, 32)[0]
EIGHT = {"weight": torch.ones(8, 32).to(torch.float8_e4m3fn), "weight_scale": torch.tensor(0.1)}
BROKEN: dict[str, tuple[dict[str, Tensor], dict[str, Any], str]] = {
    "algorithm": (LAYER, {"quant_algo": "W4A16_AWQ"}, "quant_algo 'W4A16_AWQ' is not supported"),
    "no algorithm": (LAYER, {}, "quant_algo None is not supported"),
    "awq": (LAYER | {"pre_quant_scale": torch.ones(32)}, NVFP4, "pre_quant_scale"),
    "no second scale": (
        {k: v for k, v in LAYER.items() if k != "weight_scale_2"}, NVFP4, "no weight_scale_2",
    ),
    "no scale": ({"weight": EIGHT["weight"]}, FP8, "no weight_scale among"),
    "kind of scale": (
        LAYER | {"weight_scale": torch.ones(8, 2)}, NVFP4, "its scales are float32 (8, 2)",
    ),
    "groups": (
        LAYER | {"weight_scale": torch.ones(8, 3).to(torch.float8_e4m3fn)}, NVFP4, "3 scales a row",
    ),
    "plain": (EIGHT | {"weight": torch.ones(8, 32)}, FP8, "its weight is float32"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    tensors, config, said = BROKEN[case]
    with pytest.raises(CheckpointError, match=re.escape(said)):
        translate(tensors, config)


def quantized(name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
    if not name.endswith("_proj.weight"):
        return None
    path = name.removesuffix(".weight")
    if "self_attn" not in name:
        layer, numbers = four_bits(*tensor.shape)
        layer["weight_scale_2"] = layer["weight_scale_2"] / 8
        return {f"{path}.{part}": held for part, held in layer.items()}, numbers / 8
    scale = tensor.abs().max() / 448
    codes = (tensor / scale).to(torch.float8_e4m3fn)
    held = {name: codes, f"{path}.weight_scale": scale, f"{path}.input_scale": torch.tensor(0.1)}
    return held, codes.float() * scale


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_logits_are_those_of_the_decoded_weights(device: str, tmp_path: Path) -> None:
    config, tensors = saved("Llama", tmp_path)
    said = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {}}
    packed, plain = write_pair(tmp_path, config, tensors, said, quantized)
    assert apart(packed, plain, TOKENS, device) < 1e-4
    assert "codebook4/g16/2-level" in load_folder(packed).report.layouts
