"""Quantizing in place to the kinds of GGUF: a number of bits chooses one, and it answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .conftest import Cli
from .test_quantized_layers import others
from .tiny import write_model


@pytest.fixture(autouse=True)
def only_gguf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other formats' kinds of the same bits would be chosen as well."""
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join([*others(), "tramontane-quant-gguf"]))


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_four_bits_are_q4_k(tmp_path: Path, run: Cli, device: str) -> None:
    write_model(tmp_path, hidden_size=256, intermediate_size=512, dtype=torch.bfloat16)
    line = ("run", tmp_path, "-i", "a", "-n", "2", "-v", "--device", device, "--isq", "4")
    status, _, err = run(*line)
    assert status == 0, err
    assert "quantized to 4: 2 x q6_k, 14 x q4_k" in err


def test_a_format_with_one_kind_for_all_leaves_the_output(
    tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bitsandbytes has no other kind beside nf4 in a model."""
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join([*others(), "tramontane-quant-bnb"]))
    write_model(tmp_path / "m", hidden_size=64, intermediate_size=128)
    status, out, err = run("quantize", tmp_path / "m", tmp_path / "out", "--to", "nf4")
    assert (status, "14 x nf4" in out) == (0, True), err + out
    line = ("run", tmp_path / "out", "-i", "a", "-n", "2", "--device", "reference")
    assert run(*line)[0] == 0
