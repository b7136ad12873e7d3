"""Which device gets what: as asked, by what fits, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.blocks import Experts
from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.load import foresee_placement
from tramontane.checkpoint.load_options import LoadOptions, table
from tramontane.checkpoint.open import open_checkpoint
from tramontane.checkpoint.prepare import placed_as
from tramontane.errors import NotEnoughMemory, TramontaneError
from tramontane.placement.placement import Placement
from tramontane.placement.sizes import Sizes
from tramontane.quantizing.topology import read_topology

from tests.parity import reference

from .card import CARDS, GB, CardRegistry, cards


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experts")
    reference.make("qwen3-moe", "normalized", folder)
    return folder


@pytest.fixture(autouse=True)
def two_cards() -> Iterator[None]:
    with cards(GB, GB):
        yield


def placed(path: Path, topology: str = "", **options: Any) -> tuple[Placement, Sizes]:
    registry = CardRegistry()
    told = LoadOptions(num_ctx=64, **options)
    built = build_for(open_checkpoint(path, registry), registry)
    rules = None
    if topology:
        (path / "topology.yaml").write_text(topology)
        rules = read_topology(path / "topology.yaml")
    return placed_as(built, built.checkpoint.header, told, rules, registry, torch.float32)


def names(placement: Placement) -> list[str]:
    return [placement.devices[index][0].name for index in placement.layers]


def aside(placement: Placement) -> list[str]:
    return [f"{path}={placement.devices[to][0].name}" for path, to in placement.modules.items()]


@pytest.mark.parametrize(
    ("options", "home", "layers", "modules"),
    [
        ({}, "card:0", ["card:0"] * 3, 0),
        ({"device": "card"}, "card:0", ["card:0"] * 3, 0),
        ({"device": "card:1"}, "card:1", ["card:1"] * 3, 0),
        ({"gpu_layers": 0}, "cpu", ["cpu"] * 3, 0),
        ({"gpu_layers": 1}, "card:0", ["cpu"] * 3, 0),
        ({"gpu_layers": 3}, "card:0", ["cpu", "card:0", "card:0"], 0),
        ({"gpu_layers": 4}, "card:0", ["card:0"] * 3, 0),
        ({"gpu_layers": 99}, "card:0", ["card:0"] * 3, 0),
        ({"gpu_layers": "all", "device": "card:1"}, "card:1", ["card:1"] * 3, 0),
        ({"device_map": " card:1 = 1 - 2 , cpu = 0 "}, "card:1", ["cpu", "card:1", "card:1"], 0),
        ({"device_map": "0:1;1:1"}, "card:0", ["card:0", "card:1", "cpu"], 0),
        ({"device_map": "1:500"}, "card:1", ["card:1"] * 3, 0),
        ({"n_cpu_moe": 2}, "card:0", ["card:0"] * 3, 2),
        ({"n_cpu_moe": "all", "gpu_layers": 3}, "card:0", ["cpu", "card:0", "card:0"], 2),
        ({"topology": "1-3: {device: 'card[1]'}"}, "card:0", ["card:0", "card:1", "card:1"], 0),
        ({"topology": "/experts/: {device: cpu}"}, "card:0", ["card:0"] * 3, 3),
        ({"topology": "/lm_head/: {device: cpu}"}, "card:0", ["card:0"] * 3, 1),
    ],
)
def test_as_asked(
    experts: Path, options: dict[str, Any], home: str, layers: list[str], modules: int
) -> None:
    found, _ = placed(experts, **options)
    assert found.home[0].name == home
    assert names(found) == layers
    assert len(aside(found)) == modules


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpu_layers": -1}, "should be a whole number from 0 on"),
        ({"gpu_layers": "many"}, "should be a whole number from 0 on"),
        (
            {"gpu_layers": 2, "device": "cpu"},
            "cpu is no accelerator; name one with --device: card:0",
        ),
        ({"device": "card:7"}, "there is no device 'card:7'; card finds card:0, card:1"),
        ({"device": "warp:0"}, "there is no device 'warp'"),
        ({"device_map": "card:0=0-1,cpu=1-2"}, "overlap"),
        ({"device_map": "card:0=0"}, "layers 1 to 2 are nowhere; add cpu=1-2"),
        ({"device_map": "card:0=0-9"}, "the model has 3 layers, 0 to 2"),
        ({"device_map": "card:0=2-0"}, "ends before it begins"),
        ({"device_map": "card:0"}, "is not a device with its layers"),
        ({"device_map": ""}, "device_map should be layers on devices"),
        ({"device_map": "5:1"}, "there is no accelerator 5"),
        ({"device_map": "0:1;0:1"}, "named twice"),
        ({"device_map": "cpu=0-2", "device": "cpu"}, "give one"),
        ({"device_map": "cpu=0-2", "gpu_layers": 1}, "give one"),
        ({"n_cpu_moe": "few"}, "should be a whole number from 0 on"),
        ({"n_cpu_moe": -2}, "should be a whole number from 0 on"),
        ({"topology": "2-9: {device: cpu}"}, "the model has 3 layers"),
        ({"topology": "/nothing/: {device: cpu}"}, "is the name of no weight"),
        ({"topology": "/norm/: {device: cpu}"}, "cannot be on a device of its own"),
        ({"topology": "/experts.gate/: {device: cpu}"}, "for some of model.layers.0.mlp.experts"),
        ({"topology": "0: {device: warp}"}, "device warp: there is no device"),
    ],
)
def test_what_cannot_be_is_refused(experts: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TramontaneError, match=re.escape(said)):
        placed(experts, **options)


def test_tied_embeddings_are_one_matrix(tmp_path: Path) -> None:
    reference.make("llama", "tied", tmp_path)
    with pytest.raises(TramontaneError, match="are one matrix"):
        placed(tmp_path, topology="/embed_tokens/: {device: cpu}")
    with pytest.raises(TramontaneError, match="the model has no experts"):
        placed(tmp_path, n_cpu_moe=1)


def test_by_what_fits(experts: Path) -> None:
    _, sizes = placed(experts)
    whole = sum(sizes.weights.values()) + 64 * sum(sizes.per_token.values())
    of_experts = sum(size for path, size in sizes.weights.items() if ".experts." in path)
    beside = 4 * 512 * 99 + sizes.widest  # the vocabulary's logits

    def found(*memory: float) -> Placement:
        with cards(*(int(each) for each in memory), reserve=0):
            return placed(experts)[0]

    assert names(found(beside + whole)) == ["card:0"] * 3
    two = found(beside + 0.7 * whole, beside + 0.7 * whole)
    assert (set(names(two)), aside(two)) == ({"card:0", "card:1"}, [])
    less = found(beside + whole - 0.5 * of_experts)
    assert names(less) == ["card:0"] * 3
    assert [each.partition("=")[0].split(".")[2] for each in aside(less)] == ["0", "1"]
    least = found(beside + (whole - of_experts) * 0.8)
    assert names(least)[0] == "cpu"
    assert names(least)[-1] == "card:0"
    assert names(found(1000)) == ["cpu"] * 3


def test_memory_is_compared_before_anything_is_read(experts: Path) -> None:
    checkpoint = open_checkpoint(experts, CardRegistry())
    options = LoadOptions(device_map="card:0=0-1,card:1=2", num_ctx=64)
    lines = table(foresee_placement(checkpoint, CardRegistry(), options))
    assert lines[0].split() == ["device", "holds", "weights", "context", "other", "free", "before"]
    assert "layers 0 to 1, all outside layers" in lines[1]
    CARDS.memory["card:1"] = 1_000_000
    with pytest.raises(NotEnoughMemory) as caught:
        foresee_placement(checkpoint, CardRegistry(), options)
    assert "card:1 (layers 2) would hold" in str(caught.value)
    assert "1.0 MB are free there" in str(caught.value)
    assert "--gpu-layers" in str(caught.value)


def test_experts_are_found_by_what_they_are(experts: Path) -> None:
    model = build_for(open_checkpoint(experts, CardRegistry()), CardRegistry()).model
    paths = [path for path, each in model.named_modules() if isinstance(each, Experts)]
    assert [path for each in placed(experts)[1].experts.values() for path in each] == paths
