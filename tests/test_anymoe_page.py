"""The example of the page on AnyMoE prints what it says; what cannot be is refused by name."""

from __future__ import annotations

import io
import json
import re
import runpy
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tramontane import LLM, SamplingParams
from tramontane.errors import CheckpointError, RequestError
from tramontane_plugin_anymoe.dataset import Row
from tramontane_plugin_anymoe.train import Plan, build_mixture, write_mixture
from tramontane_plugin_anymoe.training import TrainingOptions

from .conftest import Cli
from .tiny import write_model

PAGE = Path(__file__).parents[1] / "docs/anymoe.md"
FENCE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page shows."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FENCE.findall(PAGE.read_text("utf-8")):
        (folder / name).write_text(text)
    return folder


def test_the_example_prints_what_the_page_says(
    place: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    printed = []
    for line in (place / "commands").read_text().splitlines():
        program, *words = shlex.split(line)
        if program == "python":
            runpy.run_path(words[0])
            continue
        status, out, err = run(*words)
        assert status == 0, err
        printed.append(out)
    loss = re.compile(r"loss 0\.\d+")  # its digits are the processor's
    expected = loss.sub("loss", (place / "printed").read_text())
    assert loss.sub("loss", "".join(printed[:3])) == expected
    assert printed[3].startswith("Once upon a time")
    with LLM() as llm:
        said = llm.chat("Hi, what are you?", temperature=0, max_tokens=30).text
    assert printed[4].strip() != said


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, an expert of its size, and others that cannot be experts."""
    root = tmp_path_factory.mktemp("models")
    write_model(root / "base")
    write_model(root / "expert")
    write_model(root / "wide", intermediate_size=96)
    write_model(root / "shallow", num_hidden_layers=1)
    file = root / "expert/model.safetensors"
    changed = {name: tensor.roll(1, 0) for name, tensor in load_file(file).items()}
    save_file(changed, file, {"format": "pt"})
    (root / "rows.json").write_text(
        json.dumps({"rows": [{"prompt": "abc" * i, "expert": i % 2} for i in range(1, 7)]})
    )
    (root / "empty").mkdir()
    return root


ROWS = [Row("abc" * i, i % 2) for i in range(1, 7)]
FEW = TrainingOptions(epochs=5, lr=0.01)


def test_what_was_trained_is_there_again_with_the_same_bits(models: Path, tmp_path: Path) -> None:
    plan = Plan((str(models / "expert"),), template=False)
    texts, files = [], []
    for name in ("one", "two"):
        with LLM(models / "base", device="cpu") as llm:
            settings, gates, trained = build_mixture(llm, plan, ROWS, FEW)
            assert trained is not None
            write_mixture(settings, gates, tmp_path / name)
            llm.load_adapter("m", tmp_path / name)
            answers = llm.generate(["abc", "cba"], temperature=0, max_tokens=9, adapter="m")
            texts.append([(each.text, each.choices[0].token_ids) for each in answers])
            files.append((tmp_path / name / "gate.safetensors").read_bytes())
    assert files[0] == files[1]
    assert texts[0] == texts[1]


def test_gates_can_be_taken_and_a_toml_file_says_it_all(
    models: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toml = f"""
[model]
model_id = "{models / "base"}"

[anymoe]
dataset_json = "{models / "rows.json"}"
prefix = "model.layers"
mlp = "mlp"
model_ids = ["{models / "expert"}"]
layers = [1]

[anymoe.config]
hidden_size = 48
epochs = 2
expert_type = "fine_tuned"
gate_model_id = "saved"
loss_csv_path = "loss.csv"
"""
    Path("a.toml").write_text(toml)
    status, out, err = run("anymoe", "train", "-f", "a.toml", "--no-template", "-q")
    assert status == 0, err
    assert out.startswith("saved: 2 experts in 1 layers, loss ")
    assert Path("loss.csv").read_text().startswith("Step, Gating layer 1\nStep 0, ")
    assert json.loads(Path("saved/anymoe.json").read_text())["training"]["epochs"] == 2
    Path("b.toml").write_text(toml.replace("epochs = 2", "training = false"))
    status, out, err = run("anymoe", "train", "-f", "b.toml", "-o", "taken", "--json")
    assert status == 0, err
    assert json.loads(out) == {"output": "taken", "layers": [1], "experts": 2}
    gates = [(Path(each) / "gate.safetensors").read_bytes() for each in ("saved", "taken")]
    assert gates[0] == gates[1]
    Path("c.toml").write_text(toml.replace("hidden_size = 48", "hidden_size = 64"))
    status, _, err = run("anymoe", "train", "-f", "c.toml", "--no-template", "-q")
    assert (status, "hidden_size is 64 in the file, and the model's 48" in err) == (1, True), err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("base --dataset rows.json -o out", "--expert is missing"),
        ("base --expert expert -o out", "--dataset is missing"),
        ("base --expert expert --dataset rows.json", "--output is missing"),
        ("--expert expert --dataset rows.json -o out", "name a model"),
        ("base --expert nowhere --dataset rows.json -o out", "no expert 'nowhere'"),
        ("base --expert wide --dataset rows.json -o out", "has (96, 48), and the model (80, 48)"),
        ("base --expert shallow --dataset rows.json -o out", "it has none, and the model (80, 48)"),
        ("base --expert empty --dataset rows.json -o out", "has no config.json and no model file"),
        ("base --expert expert --dataset rows.json -o out --layers 0,2", "2 layers, 0 to 1"),
        ("base --expert expert --dataset rows.json -o out --layers a", "not numbers of layers"),
        ("base --expert expert --dataset rows.json -o out --lr 0", "lr 0.0 should be above 0"),
        ("base --expert expert --dataset rows.json -o out --loss-csv a.txt", "end in .csv"),
        ("base --expert expert --dataset none.json -o out", "none.json"),
        ("base --expert expert --gate rows.json -o out", "rows.json"),
    ],
)
def test_what_cannot_be_trained(
    models: Path, run: Cli, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.chdir(models)
    status, _, err = run("anymoe", "train", *shlex.split(line), "--no-template", "-q")
    assert status in (1, 2)
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (models / "out").exists()


def test_families_without_dense_halves_are_refused_by_name() -> None:
    from tramontane.testing.random_model import random_model
    from tramontane.testing.tiny_model import TINY
    from tramontane_plugin_anymoe.halves import halves_of

    model = random_model(TINY)
    assert [half.layer for half in halves_of(model, "Tiny")] == [0, 1]
    layers: Any = model.get_submodule("model.layers")
    layers[0].mlp = torch.nn.Identity()
    with pytest.raises(RequestError, match="layer 0 of Tiny has no dense feed-forward half"):
        halves_of(model, "Tiny", [0])
    layers[1].mlp = torch.nn.Identity()
    with pytest.raises(RequestError, match="Tiny has no feed-forward halves"):
        halves_of(model, "Tiny")


def changed(folder: Path, **settings: Any) -> None:
    told = json.loads((folder / "anymoe.json").read_text()) | settings
    (folder / "anymoe.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: changed(folder, architecture="GemmaForCausalLM"), "is for a Gemma"),
        (lambda folder: changed(folder, hidden_size=64), "trained on another model"),
        (lambda folder: changed(folder, layers=[0, 5]), "layer 5 cannot have experts"),
        (lambda folder: changed(folder, experts=["nowhere"]), "no expert 'nowhere'"),
        (lambda folder: changed(folder, gate_hidden=3), r"moe_gate.0.weight is \(2, 48\)"),
        (lambda folder: (folder / "gate.safetensors").unlink(), "there are no gates at"),
        (lambda folder: (folder / "gate.safetensors").write_bytes(b""), "gate.safetensors"),
    ],
)
def test_what_cannot_be_loaded(
    models: Path, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    plan = Plan((str(models / "expert"),), template=False)
    with LLM(models / "base", device="reference") as llm:
        settings, gates, _ = build_mixture(llm, plan, ROWS[:2], TrainingOptions(epochs=1))
        write_mixture(settings, gates, tmp_path / "m")
        change(tmp_path / "m")
        with pytest.raises((CheckpointError, RequestError, Exception), match=said) as caught:
            llm.load_adapter("m", tmp_path / "m")
        assert type(caught.value).__module__ == "tramontane.errors"
        assert llm.adapters == []
        assert llm.generate("abc", SamplingParams(max_tokens=1)).text is not None


def test_progress_is_shown(models: Path, run: Cli, tmp_path: Path) -> None:
    given = ("--expert", models / "expert", "--dataset", models / "rows.json", "--no-template")
    line = ("anymoe", "train", models / "base", *given, "--epochs", "2", "-o", tmp_path / "m")
    with redirect_stdout(io.StringIO()):
        status, _, err = run(*line)
    assert status == 0
    assert "computing prompts 6/6" in err
    assert re.search(r"training 4/4, loss \d\.\d{4}", err)
