"""docs/blocks.md and the sampler's page have what the code states, and their examples run."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from tramontane import blocks
from tramontane.layouts import Dense
from tramontane.testing.blocks_page import NAMES, described, families, with_reference

ROOT = Path(__file__).parents[1]
BLOCKS, SAMPLER = ROOT / "docs/blocks.md", ROOT / "docs/writing-a-sampler.md"
GUIDE = (ROOT / "docs/writing-an-architecture.md").read_text("utf-8")


@pytest.mark.parametrize("page", [BLOCKS, SAMPLER], ids=lambda page: page.stem)
def test_the_page_is_current(page: Path) -> None:
    text = page.read_text("utf-8")
    run = f"run: python -m tramontane.testing.blocks_page docs/{page.name}"
    assert with_reference(text, ROOT) == text, run


def test_every_name_of_the_modules_is_on_a_page() -> None:
    text = BLOCKS.read_text("utf-8") + SAMPLER.read_text("utf-8")
    for module in NAMES:
        for name in described(module):
            section = text.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
            assert len(section.split()) > 8, f"{module}.{name} has no description"


def test_families_are_those_that_import_a_name() -> None:
    used = families(ROOT)
    assert "llama" in used["PreNormLayer"]
    assert used["PositionedLM"] == ["gpt2", "opt", "starcoder", "whisper", "xglm"]
    assert used["Transpose"] == ["gpt-oss", "gpt2", "jais", "llama", "rwkv"]


def test_the_first_table_names_only_what_exists() -> None:
    table = BLOCKS.read_text("utf-8").partition("you write")[2].partition("\n## Blocks")[0]
    from tramontane import config
    from tramontane.checkpoint import rules

    written = {
        name for code in re.findall(r"`([^`]+)`", table) for name in re.findall(r"\b[A-Z]\w+", code)
    }
    known = {name for module in (blocks, rules, config) for name in vars(module)}
    assert written - known - {"Norm", "Parameter", "True", "False", "None"} == set()
    assert len(written) > 20


def test_public_parts_have_shapes_or_units() -> None:
    for name in blocks.__all__:
        value = getattr(blocks, name)
        if isinstance(value, type) and issubclass(value, nn.Module):
            assert re.search(r"\([\w., *]+\)", value.__doc__ or ""), f"{name}: no shape"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)


def test_the_rule_of_the_guide_is_one() -> None:
    names: dict[str, Any] = {}
    exec(compile(examples()[0], "guide", "exec", dont_inherit=True), names)
    rule = names["Negate"]("*.decay_log")
    assert rule.paths("layers.0.decay_log") == ("layers.0.decay",)
    changed = rule.change(Dense(torch.ones(3)), "layers.0.decay", nn.Module())
    assert changed.decode().tolist() == [-1, -1, -1]
    shapes = {"layers.0.decay.weight": (3,)}
    assert rule.backwards(shapes, nn.Module()) == {"layers.0.decay_log.weight": (3,)}


def test_the_metadata_of_the_guide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    for example in examples()[1:3]:
        exec(compile(example, "guide", "exec", dont_inherit=True), names)
    assert capsys.readouterr().out == "{'hidden_size': 32, 'residual_scale': 0.5}\n"
    assert names["AcmeConfig"].model_fields["residual_scale"].default == 1.0
    monkeypatch.setitem(sys.modules, "acme_model", SimpleNamespace(fields=names["fields"]))
    offer = replace(names["offer"], metadata="acme_model:fields")
    header = replace(names["header"], metadata={"acme.residual_divisor": 4.0})
    assert names["fields_of"](offer, header) == {"hidden_size": 32, "residual_scale": 0.25}


def test_the_report_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(examples()[3], "guide", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out == "None\nrecorded\n"
