"""Quantizing in place with this repository's own formats, all of them installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tramontane import LLM
from tramontane.hub.options import HubOptions
from tramontane.model.file_sizes import built_of, held_by
from tramontane.model.fit import fit
from tramontane.quantizing.kinds import installed_kinds
from tramontane.registry import Registry

from .conftest import Cli
from .tiny import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder, hidden_size=256, intermediate_size=512, dtype=torch.bfloat16)
    return folder


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (4, {"q4_k": 14, "q6_k": 2}),
        ("Q8_0", {"q8_0": 16}),
        ("gptq8", {"gptq8": 14}),
        ("nf4", {"nf4": 14, "int8": 2}),
        ("afq:mxfp4", {"mxfp4": 14, "afq6": 2}),
        ("fp8-block", {"fp8-block": 14}),
        ("hqq4", {"hqq4": 14, "hqq6": 2}),
        ("w4a16", {"w4a16": 14, "w8a16": 2}),
    ],
)  # fmt: skip
def test_it_answers(asked: int | str, kinds: dict[str, int], device: str, model: Path) -> None:
    with LLM(model, isq=asked, device=device) as llm:
        assert llm.report.quantized is not None
        assert dict(llm.report.quantized.kinds) == kinds
        assert len(llm.generate("hello", max_tokens=4, ignore_eos=True).token_ids) == 4


def test_a_name_that_several_have_asks_for_one(model: Path, run: Cli) -> None:
    status, _, err = run("run", model, "-i", "a", "-n", "2", "--isq", "mxfp4")
    assert status != 0
    assert "give afq:mxfp4 or compressed-tensors:mxfp4" in err


def test_quant_auto_takes_the_most_bits_that_fit(model: Path) -> None:
    """Counted as they will be in memory: the embeddings have more bits than the rest."""
    registry = Registry()
    built = built_of(model, registry)
    assert built is not None
    for bits in (4, 8):
        held = held_by(built, bits, registry)
        with LLM(model, isq=bits, device="reference") as llm:
            assert held == pytest.approx(llm.report.bytes_in_memory, rel=0.02)
        found = fit(str(model), "auto", registry, HubOptions(), int(held / 0.8) + 1)
        assert (Path(found.name), found.isq) == (model, str(bits))
    found = fit(str(model), "auto", registry, HubOptions(), int(held_by(built) / 0.8) + 1)
    assert found.isq is None


FOLDERS = {
    name: kind
    for name, kind in sorted(installed_kinds(Registry()).items())
    if kind.offer.encode and kind.offer.settings
}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_kind_of_folder_is_written_and_read(
    name: str, model: Path, tmp_path: Path, run: Cli
) -> None:
    kind = FOLDERS[name]
    status, out, err = run("quantize", model, tmp_path / "out", "--to", kind.whole_name)
    assert status == 0, err
    if kind.offer.name == "bitsandbytes" and kind.name != "int8":
        assert "as it is: bitsandbytes has one kind for a whole model" in out
    with LLM(tmp_path / "out", device="reference") as llm:
        assert len(llm.generate("hello", max_tokens=2, ignore_eos=True).token_ids) == 2


def test_a_kind_that_no_folder_has_is_told_with_those_that_do(
    model: Path, tmp_path: Path, run: Cli
) -> None:
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "q4_k")
    assert status == 2
    assert "q4_k: a folder cannot have this kind; gguf files have it; the kinds are" in err
    assert "pip install" not in err
    assert "nf4" in err
    assert "q6_k" not in err


def test_kinds_that_a_format_does_not_mix_are_told(model: Path, tmp_path: Path, run: Cli) -> None:
    topology = tmp_path / "topology.yaml"
    topology.write_text("0:\n  isq: int8\n")
    arguments = ("quantize", model, tmp_path / "out", "--to", "nf4", "--topology", topology)
    status, _, err = run(*arguments)
    assert status == 2
    assert "bitsandbytes has one kind for a whole model, not int8, nf4" in err


@pytest.mark.parametrize(("kind", "takes"), [("nf4", False), ("q4_k", True), ("w4a16", True)])
def test_importances_that_change_nothing_are_refused(
    kind: str, takes: bool, model: Path, tmp_path: Path, run: Cli
) -> None:
    (tmp_path / "text.txt").write_text("one two three four five six seven")
    file = tmp_path / "importances.safetensors"
    assert run("imatrix", model, "--text", tmp_path / "text.txt", "-o", file)[0] == 0
    answer = ("run", model, "-i", "a", "-n", "1", "--isq", kind, "--imatrix", file)
    status, _, err = run(*answer)
    assert status == (0 if takes else 2), err
    if not takes:
        assert "importances (--imatrix, --calibration-file) change nothing in such a kind" in err
        write = ("quantize", model, tmp_path / "out", "--to", kind, "--imatrix", file)
        assert run(*write)[0] == 2
        assert not (tmp_path / "out").exists()
