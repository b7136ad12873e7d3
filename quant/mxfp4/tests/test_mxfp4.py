"""gpt-oss's MXFP4: numbers of transformers, and experts whose gate and up alternate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tramontane.blocks import Experts
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.quantized_layers import QuantizedCheckpoint
from tramontane.checkpoint.rules import Kept, Rename, Rule, sibling
from tramontane.checkpoint.weight_map import match
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Dense, Layout
from tramontane_quant_mxfp4.layers import below_layers, translate
from tramontane_quant_mxfp4.plugin import quantizers

CONFIG = {"quant_method": "mxfp4"}
EXPERTS, HIDDEN, WIDE = 3, 64, 96


def stack(rows: int, columns: int, least: int = 100, most: int = 140) -> dict[str, Tensor]:
    shape = (EXPERTS, rows, columns // 32)
    return {
        "blocks": torch.randint(0, 256, (*shape, 16), dtype=torch.uint8),
        "scales": torch.randint(least, most, shape, dtype=torch.uint8),
    }


@pytest.mark.parametrize("shape", [(48, 64), (2, 32), (5, 160)])
def test_numbers_are_those_of_transformers(shape: tuple[int, int]) -> None:
    theirs = pytest.importorskip("transformers.integrations.mxfp4")
    tensors = stack(*shape, least=1, most=250)
    layout = translate(tensors, CONFIG)
    expected = theirs.convert_moe_packed_tensors(tensors["blocks"], tensors["scales"])
    assert torch.equal(layout.decode(torch.bfloat16), expected.transpose(1, 2).flatten(0, 1))


def test_codes_are_not_copied() -> None:
    tensors = stack(8, 64)
    assert translate(tensors, CONFIG).codes[0].data_ptr() == tensors["blocks"].data_ptr()


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("a.experts.gate_up_proj_blocks", "a.experts.gate_up_proj.blocks"),
        ("a.experts.down_proj_scales", "a.experts.down_proj.scales"),
        ("a.experts.down_proj_bias", "a.experts.down_proj_bias"),
        ("a.self_attn.q_proj.weight", "a.self_attn.q_proj.weight"),
    ],
)
def test_names_below_the_layer(name: str, new: str) -> None:
    assert below_layers(name, CONFIG) == new


GOOD = stack(8, 64)
BROKEN: dict[str, tuple[dict[str, Tensor], str]] = {
    "missing": ({"blocks": GOOD["blocks"]}, "no scales; it has blocks"),
    "nothing": ({}, "no blocks and no scales; it has nothing"),
    "type": ({**GOOD, "scales": GOOD["scales"].float()}, "scales are float32, not uint8"),
    "groups": (
        {**GOOD, "scales": GOOD["scales"][..., :1]},
        "blocks (3, 8, 2, 16) and scales (3, 8, 1) do not belong together",
    ),
    "flat": ({**GOOD, "blocks": GOOD["blocks"].flatten(-2)}, "do not belong together"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str) -> None:
    tensors, said = BROKEN[case]
    with pytest.raises(CheckpointError, match=re.escape(said)):
        translate(tensors, CONFIG, "m.experts.down_proj")


class Mixture(nn.Module):
    """A model of nothing but experts."""

    def __init__(self) -> None:
        super().__init__()
        with torch.device("meta"):
            cfg: Any = SimpleNamespace(hidden_size=HIDDEN)
            self.experts = Experts(cfg, EXPERTS, WIDE)


@dataclass(frozen=True)
class Alternating(Kept):
    """Rows of gate and up in turns."""

    pattern: str

    def paths(self, path: str) -> tuple[str, ...]:
        return (sibling(path, "gate_proj"), sibling(path, "up_proj"))

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return layout.rows(torch.arange(path.endswith("up_proj"), layout.shape[0], 2))


RULES: list[Rule] = [
    Rename("experts.gate_up_proj", "experts.gate_up_proj.weight"),
    Rename("experts.down_proj", "experts.down_proj.weight"),
    Alternating("experts.gate_up_proj"),
]


class Stored:
    """A checkpoint in memory."""

    names: dict[str, str]

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors, self.names = tensors, {}
        infos = {name: TensorInfo(tuple(t.shape), "U8", t.nbytes) for name, t in tensors.items()}
        self.header = Header(Path("folder"), "safetensors", "hf", "Any", {}, infos)

    def read(self, name: str) -> Layout:
        return Dense(self.tensors[name])


def test_experts_are_found_and_parted() -> None:
    tensors = {
        f"experts.{name}_{part}": tensor
        for name, shape in {"gate_up_proj": (2 * WIDE, HIDDEN), "down_proj": (HIDDEN, WIDE)}.items()
        for part, tensor in stack(*shape).items()
    }
    (offer,) = quantizers()
    model: Any = Mixture()
    checkpoint = QuantizedCheckpoint(Stored(tensors), offer, CONFIG, model, RULES)  # type: ignore[arg-type]
    sources = match(checkpoint.header, model, RULES, {}, {})
    assert sources.keys() == {f"experts.{name}_proj.weight" for name in ("gate", "up", "down")}

    def made(name: str) -> Layout:
        source = sources[f"experts.{name}_proj.weight"]
        return source.make({t: checkpoint.read(t) for t in source.tensors}, model)

    parts = {
        part: tensors[f"experts.gate_up_proj_{part}"].flatten(0, 1) for part in ("blocks", "scales")
    }
    for first, name in enumerate(("gate", "up")):
        layout = made(name)
        assert isinstance(layout, Codebook)
        expected = translate({k: v[None, first::2] for k, v in parts.items()}, CONFIG)
        assert torch.equal(layout.decode(), expected.decode())
    down = {part: tensors[f"experts.down_proj_{part}"] for part in ("blocks", "scales")}
    assert torch.equal(made("down").decode(), translate(down, CONFIG).decode())
