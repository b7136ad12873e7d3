"""Weights that are not the ones that the configuration describes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tramontane.errors import CheckpointError, TramontaneError

from .refusal import refusal
from .tiny_folder import CONFIG, tensors, write_folder

HEAD, UP = "lm_head.weight", "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("absent", [HEAD, UP, "model.norm.weight", "model.embed_tokens.weight"])
def test_a_missing_tensor(tmp_path: Path, ending: str, absent: str) -> None:
    rest = {name: tensor for name, tensor in tensors().items() if name != absent}
    said = refusal(write_folder(tmp_path, weights=rest, ending=ending), CheckpointError)
    assert f"does not fit LlamaForCausalLM; missing: {absent}" in said


@pytest.mark.parametrize("extra", ["extra", "model.layers.2.mlp.up_proj.weight", "lm_head.bias",
                                   "model.layers.1.self_attn.q_proj.scales", "..", ""])  # fmt: skip
def test_a_tensor_that_is_not_used(tmp_path: Path, extra: str) -> None:
    folder = write_folder(tmp_path, weights={**tensors(), extra: torch.ones(2)})
    assert f"; not used: {extra}" in refusal(folder, CheckpointError)


def test_many_are_counted(tmp_path: Path) -> None:
    extra = {f"extra{i}": torch.ones(1) for i in range(100)}
    said = refusal(write_folder(tmp_path, weights={**tensors(), **extra}), CheckpointError)
    assert "and 96 more" in said


def test_missing_and_not_used_are_told_together(tmp_path: Path) -> None:
    renamed = {name.replace("up_proj", "upper"): tensor for name, tensor in tensors().items()}
    said = refusal(write_folder(tmp_path, weights=renamed), CheckpointError)
    assert "missing: model.layers.0.mlp.up_proj.weight" in said
    assert "not used: model.layers.0.mlp.upper.weight" in said


@pytest.mark.parametrize("shape", [(24, 15), (16, 24), (384,), (24, 16, 1), (0, 16), (1, 1)])
def test_wrong_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = write_folder(tmp_path, weights={**tensors(), HEAD: torch.ones(shape)})
    said = refusal(folder, CheckpointError)
    assert f"wrong shapes: {HEAD} is {shape}, {HEAD} wants (24, 16)" in said


def test_a_configuration_of_another_model(tmp_path: Path) -> None:
    said = refusal(write_folder(tmp_path, {**CONFIG, "hidden_size": 32}), CheckpointError)
    assert "wrong shapes" in said
    assert "more" in said


def test_no_weights_for_what_is_tied(tmp_path: Path) -> None:
    rest = {name: tensor for name, tensor in tensors().items()
            if name not in (HEAD, "model.embed_tokens.weight")}  # fmt: skip
    folder = write_folder(tmp_path, {**CONFIG, "tie_word_embeddings": True}, weights=rest)
    assert "missing: model.embed_tokens.weight" in refusal(folder, CheckpointError)


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("name", [HEAD, "model.norm.weight"])
def test_integers_are_no_weights(
    tmp_path: Path, ending: str, dtype: torch.dtype, name: str
) -> None:
    weights = {**tensors(), name: torch.ones(tensors()[name].shape, dtype=dtype)}
    folder = write_folder(tmp_path, dtype=None, weights=weights, ending=ending)
    said = refusal(folder, CheckpointError)
    assert f"{name} holds {str(dtype).removeprefix('torch.')}" in said
    assert "quantization_config" in said


def test_complex_numbers_are_no_weights(tmp_path: Path) -> None:
    weights = {**tensors(), HEAD: torch.ones(24, 16, dtype=torch.complex64)}
    folder = write_folder(tmp_path, dtype=None, weights=weights, ending="bin")
    assert "holds complex64" in refusal(folder, TramontaneError)


def test_layers_that_are_not_there(tmp_path: Path) -> None:
    said = refusal(write_folder(tmp_path, {**CONFIG, "num_hidden_layers": 80}), CheckpointError)
    assert "missing: model.layers.2.input_layernorm.weight" in said


def test_more_layers_than_can_be(tmp_path: Path) -> None:
    said = refusal(write_folder(tmp_path, {**CONFIG, "num_hidden_layers": 4000}), CheckpointError)
    assert "num_hidden_layers=4000 cannot be, with 21 tensors in all" in said


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "\u202e", "x" * 5000])
def test_names_are_shown_as_one_line(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path, weights={**tensors(), name: torch.ones(1)})
    assert "not used: " in refusal(folder, CheckpointError)
