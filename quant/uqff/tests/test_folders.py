"""Folders: written, read whole, and contradictory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole
from tramontane_quant_uqff.checks import report, verify
from tramontane_quant_uqff.encode import KINDS, encode
from tramontane_quant_uqff.formats import layout_of
from tramontane_quant_uqff.writer import write

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
SMALL = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
    "initializer_range": 0.1, "head_dim": 16,
}  # fmt: skip
FAMILIES = {"Llama": SMALL}


def load(path: Path, device: str) -> Loaded:
    registry = Registry()
    options = LoadOptions(device=device, dtype="f32", activations="f32")
    return load_model(open_checkpoint(path, registry), registry, options)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_decoded_weights(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    source, folder = tmp_path / "source", tmp_path / "made"
    model = getattr(transformers, f"{family}ForCausalLM")
    model(getattr(transformers, f"{family}Config")(**FAMILIES[family])).save_pretrained(source)
    tensors = load_file(source / "model.safetensors")
    dense = {name: tensor for name, tensor in tensors.items() if tensor.ndim == 1}
    decoded = dict(dense)

    def layers() -> Iterator[tuple[str, dict[str, Tensor]]]:
        for count, name in enumerate(sorted(tensors.keys() - dense.keys())):
            made = encode(tensors[name], [*KINDS][count % len(KINDS)])
            decoded[name] = layout_of(int(made["format"]), made, name).decode()
            yield name, made

    paths = write(folder, layers(), dense, source, limit=40_000)
    assert len(paths) > 1
    assert verify(paths[0]) == []
    save_file(decoded, source / "model.safetensors", {"format": "pt"})
    with torch.inference_mode():
        expected = model.from_pretrained(source).eval()(torch.tensor([TOKENS])).logits[0]
    for path in (folder, paths[-1]):
        for device in ("reference", "cpu"):
            ours = load(path, device)
            assert ours.report.container == "uqff"
            with torch.inference_mode():
                found = whole(ours.model, TOKENS).float()
            assert (found - expected).abs().max() < 1e-4 * expected.abs().max(), device
    config = json.loads((folder / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of two parts, with a layer in each."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    layers = [(f"{name}.weight", encode(torch.ones(64, 64), "afq4")) for name in ("a", "b")]
    write(
        tmp_path / "made", layers, {"norm.weight": torch.ones(64)}, source, limit=1, target="afq4"
    )
    return tmp_path / "made"


def test_the_report_says_what_was_made(made: Path) -> None:
    said = report(made)["outputs"][0]
    assert said["shards"] == ["model-0.uqff", "model-1.uqff"]
    assert said["actual_counts"] == {"afq4": 2}
    assert said["layer_details"][0] == {
        "module": "a", "default_target": "afq4", "resolved_target": "afq4", "stored": "afq4",
        "shape": [64, 8],
    }  # fmt: skip
    assert not [item.name for item in made.iterdir() if item.name.startswith(".")]


def edit(path: Path, **changes: Tensor | None) -> None:
    tensors = load_file(path) | changes
    save_file({name: each for name, each in tensors.items() if each is not None}, path)


NONE = torch.tensor(0, dtype=torch.uint8)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no version": (
        {"uqff.version.major": None}, "was written by mistral.rs before UQFF 1.0, which",
    ),
    "version": ({"uqff.version.major": torch.tensor(2)}, "UQFF 2.2.0 is not supported; 1.x is"),
    "format": ({"a.weight.format": NONE + 9}, "a.weight: format 9 is none of 0 (ggml), 1 (dense)"),
    "missing": ({"a.weight.scales": None}, "a.weight.scales missing, format afq"),
    "unknown": ({"a.weight.axis": NONE}, "a.weight.axis unknown in format afq"),
    "no weight": ({"a.weight": None}, "a.weight missing, format afq"),
    "twice": ({"b.weight": torch.ones(2)}, "b.weight is also in another file"),
    "sizes": ({"a.weight.bits": torch.ones(99)}, "a.weight.bits is F32 (99,)"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_contradictory_file_is_refused(case: str, made: Path) -> None:
    changes, said = WRONG[case]
    edit(made / "model-0.uqff", **changes)
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        open_checkpoint(made, Registry())
    assert str(made) in str(caught.value)
    assert verify(made / "model-0.uqff") == [str(caught.value)]


def test_a_missing_part_is_named(made: Path) -> None:
    (made / "model-0.uqff").unlink()
    with pytest.raises(CheckpointError, match=r"model-0\.uqff is missing"):
        open_checkpoint(made / "model-1.uqff", Registry())


def test_verify_finds_numbers_and_contradictions(made: Path) -> None:
    edit(made / "model-1.uqff", **{"b.weight.scales": torch.full((64, 1), torch.nan)})
    said = report(made)
    said["outputs"][0]["layer_details"][0]["stored"] = "afq8"
    (made / "uqff_report.json").write_text(json.dumps(said))
    first, second = verify(made / "model-0.uqff")
    assert "model-1.uqff: b.weight: 64 of its 64 scales are infinite or not numbers" in first
    assert second.endswith("a is afq8 by the report, and afq4 in the file")


def test_two_models_in_a_folder_are_named(made: Path) -> None:
    (made / "other-0.uqff").write_bytes((made / "model-0.uqff").read_bytes())
    with pytest.raises(CheckpointError, match=r"name one of model-0\.uqff, other-0\.uqff"):
        open_checkpoint(made, Registry())


def test_a_layer_with_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a: a layer's name ends in \.weight"):
        write(tmp_path / "x", [("a", encode(torch.ones(64, 64), "afq4"))], {}, tmp_path)
    with pytest.raises(ValueError, match="no layer to write"):
        write(tmp_path / "x", [], {}, tmp_path)
