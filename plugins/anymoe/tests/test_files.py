"""Datasets, mistral.rs's TOML files, gates and settings: what they say, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tramontane.errors import CheckpointError, RequestError, UsageError
from tramontane_plugin_anymoe.dataset import Row, read_dataset, unused
from tramontane_plugin_anymoe.gates import Gate, read_gates, write_gates
from tramontane_plugin_anymoe.settings import MixtureSettings, read_settings
from tramontane_plugin_anymoe.toml_file import read_selector

FINE_TUNED = """
[model]
model_id = "mistralai/Mistral-7B-Instruct-v0.1"
arch = "mistral"

[anymoe]
dataset_json = "examples/amoe.json"
prefix = "model.layers"
mlp = "mlp"
model_ids = ["HuggingFaceH4/zephyr-7b-beta"]
layers = [0, 1, 2]

[anymoe.config]
hidden_size = 4096
epochs = 25
expert_type = "fine_tuned"
gate_model_id = "saved_gate"
loss_csv_path = "loss.csv"
"""
LORA = """
[model]
model_id = "mistralai/Mistral-7B-Instruct-v0.1"
arch = "mistral"

[anymoe]
dataset_csv = "examples/amoe.csv"
prefix = "model.layers"
mlp = "mlp"
model_ids = ["typeof/zephyr-7b-beta-lora"]

[anymoe.config]
hidden_size = 4096

[anymoe.config.expert_type.lora_adapter]
rank = 64
alpha = 16
target_modules = ["gate_proj"]
"""


def test_a_dataset(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    rows = [{"prompt": "a", "expert": 0}, {"prompt": "b", "expert": 2, "image_urls": ["c.png"]}]
    file.write_text(json.dumps({"rows": rows}))
    found = read_dataset(file, 3)
    assert found == [Row("a", 0), Row("b", 2, ("c.png",))]
    assert unused(found, 3) == [1]
    table = tmp_path / "rows.csv"
    table.write_text('prompt,expert\n"a, b",1\n')
    assert read_dataset(table, 2) == [Row("a, b", 1)]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, 'it has no list "rows"'),
        ({"rows": []}, "has no rows"),
        ({"rows": ["a"]}, "row 0 should be an object"),
        ({"rows": [{"prompt": "a", "expert": 0}, {"prompt": "a", "expert": 2}]}, "row 1: expert 2"),
        ({"rows": [{"prompt": "a", "expert": -1}]}, "should be from 0, the model itself, to 1"),
        ({"rows": [{"prompt": "a", "expert": True}]}, "expert True"),
        ({"rows": [{"prompt": "", "expert": 0}]}, "prompt should be a text"),
        ({"rows": [{"prompt": "a"}]}, "expert None"),
        ({"rows": [{"prompt": "a", "expert": 0, "image": "x"}]}, "image is not prompt"),
        ({"rows": [{"prompt": "a", "expert": 0, "image_urls": "x"}]}, "image_urls should be"),
    ],
)
def test_a_dataset_that_cannot_be(tmp_path: Path, told: Any, said: str) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(told))
    with pytest.raises(RequestError, match=said):
        read_dataset(file, 2)


def test_a_toml_file_as_mistral_rs_has_it(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(FINE_TUNED)
    found = read_selector(file)
    assert found.model == "mistralai/Mistral-7B-Instruct-v0.1"
    assert found.experts == ("HuggingFaceH4/zephyr-7b-beta",)
    assert (found.dataset, found.loss_csv) == (Path("examples/amoe.json"), Path("loss.csv"))
    assert (found.layers, found.hidden_size, found.gate) == ((0, 1, 2), 4096, "saved_gate")
    assert found.values == {"epochs": 25}
    assert found.target_modules is None
    file.write_text(LORA)
    found = read_selector(file)
    assert (found.rank, found.alpha, found.target_modules) == (64, 16, ("gate_proj",))
    assert (found.dataset, found.layers) == (Path("examples/amoe.csv"), None)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[anymoe]", "[anymoe", "is not TOML"),
        ("[anymoe.config]", "[config]", r"no table \[anymoe.config\]"),
        ('mlp = "mlp"', 'mpl = "mlp"', "mpl is not known"),
        ("epochs = 25", 'epochs = "25"', "epochs '25' is of the wrong type"),
        ("epochs = 25", "epochs = true", "of the wrong type"),
        ("layers = [0, 1, 2]", 'layers = ["0"]', "layers should be"),
        ('expert_type = "fine_tuned"', 'expert_type = "tuned"', "expert_type should be"),
        ('model_ids = ["HuggingFaceH4/zephyr-7b-beta"]', "model_ids = []", "model_ids should be"),
    ],
)
def test_a_toml_file_that_cannot_be(tmp_path: Path, before: str, after: str, said: str) -> None:
    file = tmp_path / "a.toml"
    assert before in FINE_TUNED
    file.write_text(FINE_TUNED.replace(before, after))
    with pytest.raises(UsageError, match=said):
        read_selector(file)


def gate(inner: int = 0) -> Gate:
    if not inner:
        return Gate(torch.ones(2, 4), torch.zeros(2))
    return Gate(torch.ones(2, inner), torch.zeros(2), torch.ones(inner, 4), torch.zeros(inner))


@pytest.mark.parametrize("inner", [0, 3])
def test_gates_are_read_as_they_were_written(tmp_path: Path, inner: int) -> None:
    file = tmp_path / "gate.safetensors"
    write_gates([gate(inner), gate(inner)], [1, 5], file)
    assert "moe_gate.5.weight" in load_file(file)
    found = read_gates(file, [1, 5], experts=2, hidden=4, inner=inner)
    assert all(torch.equal(each.weight, gate(inner).weight) for each in found)
    assert (found[0].inner is None) == (not inner)
    write_gates([gate(inner), gate(inner)], [0, 1], file)  # counted, whatever the layers are
    assert len(read_gates(file, [1, 5], experts=2, hidden=4, inner=inner)) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"moe_gate.1.weight": None}, "has no moe_gate.1.weight"),
        ({"moe_gate.1.weight": torch.ones(3, 4)}, r"need \(2, 4\)"),
        ({"moe_gate.1.bias": torch.tensor([0.0, float("nan")])}, "not finite"),
        ({"moe_gate.1.bias": torch.ones(2, dtype=torch.int32)}, "holds no floats"),
        ({"moe_gate.2.bias": torch.ones(2)}, "is of no layer that has experts"),
    ],
)
def test_gates_that_cannot_be(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "gate.safetensors"
    tensors = gate().tensors(1) | change
    save_file({name: each for name, each in tensors.items() if each is not None}, file)
    with pytest.raises(CheckpointError, match=said):
        read_gates(file, [1], experts=2, hidden=4, inner=0)


def test_settings_move_with_what_is_beside_them(tmp_path: Path) -> None:
    for name in ("a/mix", "a/expert"):
        (tmp_path / name).mkdir(parents=True)
    expert = str(tmp_path / "a/expert")
    MixtureSettings("b", "L", 4, (0,), (expert, "org/name")).write(tmp_path / "a/mix")
    (tmp_path / "a").rename(tmp_path / "c")
    found = read_settings(tmp_path / "c/mix")
    assert Path(found.experts[0]).resolve() == (tmp_path / "c/expert").resolve()
    assert found.experts[1] == "org/name"
    assert found.count == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "x"}, "format should be"),
        ({"version": 2}, "version 2"),
        ({"layers": []}, "layers should be"),
        ({"layers": [1, 1]}, "each once"),
        ({"layers": [-1]}, "layers should be"),
        ({"experts": []}, "experts should be"),
        ({"experts": [1]}, "experts should be"),
        ({"decide": "row"}, "prompt or token"),
        ({"gate_hidden": -1}, "gate_hidden should be"),
        ({"hidden_size": "4"}, "hidden_size"),
        ({"target_modules": "a"}, "target_modules"),
        ({"training": []}, "training"),
        ({"more": 1}, "more is not known"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    MixtureSettings("b", "L", 4, (0,), ("org/name",)).write(tmp_path)
    file = tmp_path / "anymoe.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CheckpointError, match=said):
        read_settings(tmp_path)
