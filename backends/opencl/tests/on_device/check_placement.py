"""Layers on an OpenCL device and the rest on the processor (`--gpu-layers`), through the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.backend import Device
from tramontane_backend_opencl import device as devices

from tests.tiny import write_model

PARAMS = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, logprobs=True)
PROMPT = "Once upon a time there was a small river"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_model(path)
    return path


def answer(folder: Path, **options: Any) -> tuple[list[int], list[float], Any]:
    with LLM(folder, dtype="f32", activations="f32", num_ctx=128, **options) as llm:
        result = llm.generate(PROMPT, PARAMS)
        loaded = llm.inner.loaded
        where = {str(each.keys.device) for each in llm.inner.engine.cache.layers.values()}
        assert loaded.report is not None
        return list(result.token_ids), [each.logprob for each in result.logprobs], where


def test_the_whole_model(folder: Path) -> None:
    expected, wanted, _ = answer(folder, device="reference")
    tokens, got, where = answer(folder, device="opencl")
    assert tokens == expected
    assert got == pytest.approx(wanted, abs=1e-4)
    assert where == {"ocl:0"}


@pytest.mark.parametrize("options", [{"gpu_layers": 2}, {"device_map": "cpu=0,opencl=1"}], ids=str)
def test_some_layers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], described: Device
) -> None:
    """PoCL's memory is the processor's: here it is said to have its own, as a card has."""
    monkeypatch.setattr(devices, "HOST", "of a card")
    monkeypatch.setattr(devices, "NOT_ASKED", 50)
    expected, wanted, _ = answer(folder, device="reference")
    tokens, got, where = answer(folder, **options)
    assert tokens == expected
    assert got == pytest.approx(wanted, abs=1e-4)
    assert where == {"ocl:0", "cpu"}
