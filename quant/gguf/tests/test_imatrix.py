"""Importance files: both of llama.cpp's forms."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tramontane.errors import CheckpointError
from tramontane_quant_gguf.imatrix import (
    module_path,
    read_by_names,
    read_imatrix,
    write_dat,
    write_imatrix,
)
from tramontane_quant_gguf.sample import write_sample

MEANS = {
    "blk.0.attn_q.weight": torch.tensor([0.5, 2.0, 0.0]),
    "blk.11.ffn_down_exps.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
}


def test_the_gguf_form_keeps_experts(tmp_path: Path) -> None:
    path = write_imatrix(tmp_path / "i.gguf", MEANS, dict.fromkeys(MEANS, 1024))
    found = read_imatrix(path)
    assert set(found) == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.11.mlp.experts.down_proj",
    }
    for got, expected in zip(found.values(), MEANS.values(), strict=True):
        assert torch.equal(got, expected)


def test_an_expert_that_was_never_called_counts_alike(tmp_path: Path) -> None:
    name = "blk.11.ffn_down_exps.weight"
    path = write_imatrix(tmp_path / "i.gguf", {name: MEANS[name]}, {name: 0})
    assert torch.equal(read_by_names(path)[name], torch.ones(2, 2))


def test_the_older_form_is_flat(tmp_path: Path) -> None:
    found = read_by_names(write_dat(tmp_path / "i.dat", MEANS, 8))
    for name, means in MEANS.items():
        assert torch.equal(found[name], means.flatten())


def test_files_without_a_data_set_are_older_still(tmp_path: Path) -> None:
    path = write_dat(tmp_path / "i.dat", MEANS, 8)
    path.write_bytes(path.read_bytes()[:-8])
    assert len(read_by_names(path)) == 2


@pytest.mark.parametrize("form", ["dat", "gguf"])
def test_files_that_end_early_are_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"i.{form}"
    if form == "dat":
        write_dat(path, MEANS, 8)
    else:
        write_imatrix(path, MEANS, dict.fromkeys(MEANS, 8))
    whole = path.read_bytes()[: -8 if form == "dat" else -32]
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=str(path)):
            read_imatrix(path)


@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf")])
def test_numbers_that_are_no_squares_are_refused(tmp_path: Path, number: float) -> None:
    path = write_dat(tmp_path / "i.dat", {"output.weight": torch.tensor([number])}, 1)
    with pytest.raises(CheckpointError, match="cannot be"):
        read_imatrix(path)


def test_a_model_holds_no_importances(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no importances"):
        read_imatrix(write_sample(tmp_path))


def test_unknown_names_stay() -> None:
    assert module_path("output.weight") == "lm_head"
    assert module_path("blk.0.unknown.weight") == "blk.0.unknown"
