"""FP8 of Hugging Face: numbers are those of transformers, whatever scales belong to."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, nbytes
from tramontane.testing.quantized_folder import apart, load_folder, write_pair
from tramontane_quant_fp8.encode import encode, settings
from tramontane_quant_fp8.layers import translate
from tramontane_quant_fp8.memory import fp8
from tramontane_quant_fp8.names import below_layers

from .tiny_models import TOKENS, saved, stacked

BLOCK = {"quant_method": "fp8", "weight_block_size": [128, 128]}
ROWS: dict[str, Any] = {"quant_method": "fp8", "weight_block_size": None}


def numbers(*shape: int, dtype: torch.dtype = torch.float8_e4m3fn, seed: int = 0) -> Tensor:
    """Every code but those that are no numbers."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    bad = codes.view(dtype).float().isfinite().logical_not()
    return codes.masked_fill(bad, 1).view(dtype)


def theirs(weight: Tensor, scale: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """As transformers dequantizes: (all rows, columns)."""
    fp8 = pytest.importorskip("transformers.integrations.finegrained_fp8")
    made = fp8.Fp8Dequantize(SimpleNamespace())._dequantize_one(weight, scale, dtype)
    return made.reshape(-1, made.shape[-1])  # type: ignore[no-any-return]


CASES = {
    "blocks": ((256, 384), (2, 3), BLOCK),
    "blocks as large as the matrix": ((96, 64), (1, 1), BLOCK),
    "other blocks": ((64, 96), (4, 2), {"weight_block_size": [16, 48]}),
    "rows": ((24, 40), (24, 1), ROWS),
    "rows, one dimension": ((24, 40), (24,), ROWS),
    "one": ((24, 40), (), ROWS),
    "one, of one dimension": ((24, 40), (1,), BLOCK),
    "groups of columns": ((24, 64), (24, 2), BLOCK),
    "experts": ((3, 256, 128), (3, 2, 1), BLOCK),
    "experts, one each": ((3, 16, 24), (3,), ROWS),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_transformers(case: str, dtype: torch.dtype) -> None:
    shape, scales, config = CASES[case]
    weight, scale = numbers(*shape), torch.rand(scales).to(dtype)
    layout = translate({"weight": weight, "weight_scale_inv": scale}, config)
    expected = scale
    if scale.ndim == 1 and scale.numel() > 1:
        expected = scale[:, None] if len(shape) == 2 else scale[:, None, None]
    assert isinstance(layout, Codebook)
    assert torch.equal(layout.decode(torch.bfloat16), theirs(weight, expected))


@pytest.mark.parametrize(
    "shape", [(200, 300), (129, 136), (7, 1000), (130, 128), (576, 257), (3, 5)]
)
def test_blocks_are_cut_off_at_the_edges(shape: tuple[int, int]) -> None:
    weight = numbers(*shape)
    scale = torch.rand(-(-shape[0] // 128), -(-shape[1] // 128))
    layout = translate({"weight": weight, "weight_scale_inv": scale}, BLOCK)
    each = scale.repeat_interleave(128, 0)[: shape[0]].repeat_interleave(128, 1)[:, : shape[1]]
    assert torch.equal(layout.decode(), weight.float() * each)
    infos = {
        "weight": TensorInfo(shape, "F8_E4M3", weight.nbytes),
        "weight_scale_inv": TensorInfo(tuple(scale.shape), "F32", scale.nbytes),
    }
    table = 1024 if isinstance(layout, Codebook) else 0
    assert fp8(infos, BLOCK) == nbytes(layout) - table


def test_floats_with_more_range_and_powers_of_two() -> None:
    weight = numbers(32, 64, dtype=torch.float8_e5m2)
    scale = torch.randint(110, 140, (2, 1), dtype=torch.uint8)
    layout = translate({"weight": weight, "scale": scale}, {"weight_block_size": [16, 64]})
    assert torch.equal(layout.decode(torch.bfloat16), theirs(weight, scale))
    assert torch.equal(
        layout.decode(),
        translate({"weight": weight, "scale": scale.view(torch.float8_e8m0fnu)}, BLOCK).decode(),
    )


def test_floats_of_four_bits() -> None:
    weight = torch.randint(-128, 128, (24, 48), dtype=torch.int8)
    scale = torch.randint(110, 140, (24, 3), dtype=torch.uint8)
    layout = translate({"weight": weight, "weight_scale_inv": scale}, BLOCK)
    assert layout.kind == "codebook4/g32/1-level"
    assert torch.equal(layout.decode(torch.bfloat16), theirs(weight, scale))


def test_scales_of_activations_are_not_used() -> None:
    layer = encode(torch.randn(16, 32), "fp8")
    plain = translate(layer, ROWS).decode()
    for name in ("input_scale", "activation_scale", "input_scale_ub"):
        more = layer | {name: torch.tensor(0.5)}
        assert torch.equal(translate(more, {**ROWS, "activation_scheme": "static"}).decode(), plain)


def test_names_beside_stacked_experts() -> None:
    path = "model.layers.0.mlp.experts.gate_up_proj"
    assert below_layers(f"{path}_scale_inv", BLOCK) == f"{path}.scale_inv"
    assert below_layers(f"{path}_scale", BLOCK) == f"{path}.scale"
    assert below_layers(path, BLOCK) == path
    assert below_layers("model.layers.0.self_attn.k_proj.k_scale", BLOCK) is None
    assert below_layers("model.layers.0.self_attn.kv_scale", BLOCK) is None
    for name in ("a.q_proj.weight_scale_inv", "a.gate_up_proj_bias", "a.logit_scale"):
        assert below_layers(name, BLOCK) == name


@pytest.mark.parametrize("kind", ["fp8", "fp8-block"])
@pytest.mark.parametrize("shape", [(256, 128), (128, 384)])
def test_what_is_encoded_is_near(kind: str, shape: tuple[int, int]) -> None:
    weight = torch.randn(shape)
    weight[0] = 0
    made = encode(weight, kind)
    decoded = translate(made, settings({"a": kind})).decode()
    assert ((decoded - weight).abs() <= weight.abs() / 16 + 0.002).all()
    assert torch.equal(decoded[0], weight[0])
    assert made["weight"].view(torch.uint8).max() <= 254


@pytest.mark.parametrize(
    ("weight", "kind", "said"),
    [
        (torch.ones(100, 128), "fp8-block", "no multiples of 128"),
        (torch.ones(2, 2), "fp9", "not one of fp8, fp8-block"),
        (torch.full((2, 2), torch.inf), "fp8", "infinite"),
    ],
)
def test_what_cannot_be_encoded_is_a_value_error(weight: Tensor, kind: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        encode(weight, kind)


W, S = numbers(32, 64), torch.ones(32, 1)
BROKEN: dict[str, tuple[dict[str, Tensor], dict[str, Any], str]] = {
    "no scale": ({"weight": W}, ROWS, "no weight_scale_inv among its tensors: weight"),
    "no weight": ({"weight_scale_inv": S}, ROWS, "no weight among its tensors"),
    "two scales": (
        {"weight": W, "weight_scale_inv": S, "weight_scale": S}, ROWS,
        "both weight_scale_inv and weight_scale",
    ),
    "plain weight": (
        {"weight": W.bfloat16(), "weight_scale_inv": S}, ROWS, "its weight is bfloat16",
    ),
    "scales of other rows": (
        {"weight": W, "weight_scale_inv": S[:20]}, BLOCK,
        "scales of (20, 1) do not belong to weights of (32, 64) in blocks of 128 x 128",
    ),
    "no scales": ({"weight": W, "weight_scale_inv": S[:0]}, ROWS, "scales of (0, 1)"),
    "vector": ({"weight": W[0], "weight_scale_inv": S}, ROWS, "(64,), which is no matrix"),
    "integers": ({"weight": W, "weight_scale_inv": S.int()}, ROWS, "scales are int32"),
    "block": (
        {"weight": W, "weight_scale_inv": S}, {"weight_block_size": [0, 128]},
        "weight_block_size=[0, 128]",
    ),
    "block of words": (
        {"weight": W, "weight_scale_inv": S}, {"weight_block_size": "128"},
        "weight_block_size='128'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    tensors, config, said = BROKEN[case]
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        translate(tensors, config, "model.layers.3.q_proj")
    assert "model.layers.3.q_proj" in str(caught.value)


def quantized(name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
    """Matrices and stacks of them in blocks of 16 x 24, as a stranger would write them."""
    if tensor.ndim < 2 or "embed" in name or "lm_head" in name or name.endswith("mlp.gate.weight"):
        return None
    high, wide = -(-tensor.shape[-2] // 16), -(-tensor.shape[-1] // 24)
    scale = torch.rand(*tensor.shape[:-2], high, wide) * 0.01 + 0.001
    each = scale.repeat_interleave(16, -2)[..., : tensor.shape[-2], :]
    each = each.repeat_interleave(24, -1)[..., : tensor.shape[-1]]
    codes = (tensor / each).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {name: codes, f"{name}_scale_inv": scale}, codes.float() * each


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", ["Llama", "Qwen3Moe stacked"])
def test_logits_are_those_of_the_decoded_weights(family: str, device: str, tmp_path: Path) -> None:
    config, tensors = saved(family.split()[0], tmp_path)
    if "stacked" in family:
        tensors = stacked(tensors)
    said = {"quant_method": "fp8", "weight_block_size": [16, 24], "activation_scheme": "dynamic"}
    packed, plain = write_pair(tmp_path, config, tensors, said, quantized)
    assert apart(packed, plain, TOKENS, device) < 1e-4
    assert any("codebook8" in kind for kind in load_folder(packed).report.layouts)


def test_scales_of_the_cache_do_not_end_the_loading(tmp_path: Path) -> None:
    config, tensors = saved("Llama", tmp_path)
    path = "model.layers.0.self_attn"
    tensors |= {f"{path}.k_proj.k_scale": torch.ones(1), f"{path}.v_scale": torch.ones(1)}
    packed, _ = write_pair(tmp_path, config, tensors, ROWS, lambda name, tensor: None)
    assert load_folder(packed).report.layouts.keys() == {"float32"}
