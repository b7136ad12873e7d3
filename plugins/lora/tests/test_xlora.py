"""X-LoRA: peft 0.21.0's own logits with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tramontane import LLM
from tramontane.errors import AdapterError

GOLDEN = "shared/golden/adapters/data"
DATA = next((up / GOLDEN for up in Path(__file__).parents if (up / GOLDEN).exists()), Path(GOLDEN))
EXPECTED = DATA / "expected.json"
CASES: dict[str, Any] = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.exists() else {}
IDS = json.loads(EXPECTED.read_text())["ids"][0] if EXPECTED.exists() else []
NAMES = [name for name in CASES if name.startswith("xlora-")]

pytestmark = pytest.mark.skipif(not CASES, reason=f"no adapters at {DATA}")


def made(folder: Path, case: Any) -> Path:
    """A folder as peft means it: settings, the adapters' folders, and the classifier."""
    settings = {"peft_type": "XLORA", "hidden_size": 16, "adapters": {}, **case["config"]}
    for adapter in case["adapters"]:
        name = adapter.rpartition("/")[2]
        shutil.copytree(DATA / adapter, folder / name)
        settings["adapters"][name] = f"/nowhere/{name}"
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    shutil.copy(DATA / case["classifier"], folder / "xlora_classifier.safetensors")
    return folder


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_pefts(name: str, device: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = DATA / f"base-{case['base']}"
    with LLM(model, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        llm.load_adapter("x", made(tmp_path, case))
        assert llm.inner.adapters.mixtures == ["x"]
        applied = llm.inner.adapters.applied("x")
        request = llm.inner.logits_request(IDS)
        (found,) = llm._results([replace(request, id="+", adapters=applied)])
        assert found.error is None
        assert found.prompt_logits is not None
        check(found.prompt_logits[-1], case["logits"])
        (base,) = llm._results([request])
        assert base.prompt_logits is not None
        check(base.prompt_logits[-1], CASES[f"base-{case['base']}"]["logits"])


def test_what_peft_saves_is_read_from_where_it_was_trained(tmp_path: Path) -> None:
    """Its folder "0" has the classifier without the number 0, and parts of several adapters."""
    case = CASES["xlora-plain"]
    folder = made(tmp_path, case)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["adapters"] = {name: str(DATA / "xlora" / name) for name in settings["adapters"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    saved = load_file(folder / "xlora_classifier.safetensors")
    (folder / "xlora_classifier.safetensors").unlink()
    save_file({}, folder / "adapter_model.safetensors")
    for name in settings["adapters"]:
        path = folder / name / "adapter_model.safetensors"
        parts = {
            key.replace("base_model.", "base_model.lora_model."): each
            for key, each in load_file(path).items()
        }
        if name == "0":
            parts |= {key.replace(".0", ""): each for key, each in saved.items()}
        save_file(parts, path)
    with LLM(DATA / "base-llama", device="reference", dtype="f32", kv_type="f32") as llm:
        llm.load_adapter("x", folder)
        applied = llm.inner.adapters.applied("x")
        request = llm.inner.logits_request(IDS)
        (found,) = llm._results([replace(request, adapters=applied)])
        assert found.prompt_logits is not None
        check(found.prompt_logits[-1], case["logits"])
        with pytest.raises(AdapterError, match="peft has saved parts of several adapters as the"):
            llm.inner.adapters.load("alone", folder, alone=True)


def check(found: Any, expected: Any) -> None:
    error = np.abs(found - np.array(expected)).max() / np.abs(expected).max()
    assert error < 2e-6, error
