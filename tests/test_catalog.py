"""What core knows of distributions that are not installed is what the workspace offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tramontane.checkpoint.choose_quantizer import quantizer_of
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, PluginNotInstalled
from tramontane.quantizing.kinds import find_kind, installed_kinds
from tramontane.registry import Registry, known
from tramontane.testing.catalog import FILE, known_text

ROOT = Path(__file__).parents[1]


def test_the_catalog_is_up_to_date():
    if not (ROOT / FILE).exists():
        pytest.skip(f"{ROOT} is not the workspace: it has no {FILE}")
    assert (ROOT / FILE).read_text("utf-8") == known_text(ROOT), (
        "run: python -m tramontane.testing.catalog ."
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """None of our quantizers is installed."""
    monkeypatch.setenv("TRAMONTANE_PLUGINS", "tramontane-core,tramontane-arch-llama")
    return Registry.from_environment()


@pytest.mark.parametrize(
    ("key", "settings", "distribution"),
    [
        ("quantization", {"group_size": 64, "bits": 4}, "tramontane-quant-afq"),
        (
            "quantization",
            {"group_size": 32, "bits": 4, "mode": "mxfp4", "lm_head": {"bits": 8}},
            "tramontane-quant-afq",
        ),
        ("quantization_config", {"w_bit": 4, "q_group_size": 128}, "tramontane-quant-awq"),
        ("quantization_config", {"load_in_8bit": True}, "tramontane-quant-bnb"),
        (
            "quantization_config",
            {"load_in_8bit": False, "load_in_4bit": True},
            "tramontane-quant-bnb",
        ),
    ],
)
def test_a_quantization_without_a_method_names_what_reads_it(
    key: str, settings: dict[str, Any], distribution: str, bare: Registry, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["LlamaForCausalLM"], key: settings})
    )
    save_file({"lm_head.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"to read it: pip install {distribution}$"):
        quantizer_of(open_checkpoint(tmp_path, bare).header, bare)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [("model-0.uqff", "tramontane-quant-uqff"), ("qmodel.pt", "tramontane-quant-hqq")],
)
def test_a_file_that_its_name_tells_names_what_reads_it(
    name: str, distribution: str, bare: Registry, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (tmp_path / name).write_bytes(b"PK")
    for path in (tmp_path, tmp_path / name):
        said = f"{name}: to read it: pip install {distribution}$"
        with pytest.raises(CheckpointError, match=said):
            open_checkpoint(path, bare)


def test_every_format_that_names_no_method_is_in_the_catalog() -> None:
    ours = {name for name in known("quantizers").values()}
    offers = [
        offer
        for entry in Registry().entries("quantizers")
        if entry.dist is not None and entry.dist.name in ours
        for offer in Registry().offers("quantizers", entry)
    ]
    assert {offer.name for offer in offers if offer.matches is not None} == set(), (
        "told_by, unlike matches, is known while the distribution is not installed"
    )


def test_a_kind_names_what_makes_it(bare: Registry) -> None:
    kinds = installed_kinds(bare)
    assert kinds == {}
    for name, makers in {
        "nf4": "tramontane-quant-bnb",
        "Q4_K": "tramontane-quant-gguf",
        "afq:mxfp4": "tramontane-quant-afq",
        "mxfp4": "tramontane-quant-afq or tramontane-quant-compressed-tensors",
    }.items():
        with pytest.raises(PluginNotInstalled) as caught:
            find_kind(name, kinds)
        assert str(caught.value).endswith(f"pip install {makers}")
    with pytest.raises(PluginNotInstalled, match=r"they come from .*tramontane-quant-gguf"):
        find_kind("q9_k", kinds)
