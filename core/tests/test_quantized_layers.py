"""How a quantizer's targets are called, and what they may answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tramontane.blocks import Linear
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.quantized_layers import QuantizedCheckpoint
from tramontane.checkpoint.rules import Rule, Skip
from tramontane.errors import CheckpointError, PluginBroken
from tramontane.layouts import Affine, Dense, Layout, pack
from tramontane.plugin import Quantizer
from tramontane.target_call import call

SCALE = torch.ones(8, 1)
CODES = pack(torch.arange(64).view(8, 8) % 16, 4)


class Stored:
    """A checkpoint in memory."""

    def __init__(self, **tensors: torch.Tensor) -> None:
        self.tensors = {f"proj.{name}": tensor for name, tensor in tensors.items()}
        infos = {
            name: TensorInfo(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.nbytes)
            for name, t in self.tensors.items()
        }
        self.header = Header(Path("folder"), "safetensors", "hf", "Any", {}, infos)
        self.names: dict[str, str] = {}

    def read(self, name: str) -> Layout:
        return Dense(self.tensors[name])


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.device("meta"):
            self.proj = Linear(8, 8)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """(targets of an offer, tensors below the layer) -> the checkpoint."""

    def opened(
        targets: dict[str, Any], *, rules: Sequence[Rule] = (), **tensors: torch.Tensor
    ) -> QuantizedCheckpoint:
        module = ModuleType("acme_targets")
        vars(module).update(targets)
        monkeypatch.setitem(sys.modules, "acme_targets", module)
        offer = Quantizer(name="acme", **{name: f"acme_targets:{name}" for name in targets})
        stored: Any = Stored(**tensors)
        return QuantizedCheckpoint(stored, offer, {"bits": 4}, Model(), rules)

    return opened


def affine(tensors: Any, config: Any) -> Layout:
    return Affine(config["bits"], 8, (tensors["codes"],), tensors["scale"])


def test_a_target_of_two_arguments_is_enough(opened: Any) -> None:
    found = opened({"translate": affine}, codes=CODES[0], scale=SCALE)
    assert found.header.tensors == {"proj.weight": TensorInfo((8, 8), "acme", 64)}
    assert found.read("proj.weight").decode()[1, 0] == 8


def test_a_target_is_given_what_it_names() -> None:
    given = {"tensors": 1, "config": 2}
    more = {"path": "p", "shape": 3}
    assert call(lambda tensors, config, shape=0: (tensors, config, shape), given, **more) == (
        1,
        2,
        3,
    )
    assert call(lambda path, tensors, config: (path, tensors, config), given, **more) == ("p", 1, 2)
    assert call(lambda weights, settings, **rest: rest, given, **more) == more
    assert call(lambda a, b: (a, b), given, **more) == (1, 2)


def test_it_is_told_of_the_model_and_of_transposed_matrices(opened: Any) -> None:
    told = []

    def translate(tensors: Any, config: Any, transposed: Any, model: Any) -> Layout:
        told.append((transposed, model))
        return affine(tensors, config)

    opened({"translate": translate}, codes=CODES[0], scale=SCALE).read("proj.weight")
    assert [transposed for transposed, _ in told] == [False]
    assert all(isinstance(model, dict) for _, model in told)


def test_it_is_told_what_the_files_say_of_tensors(opened: Any) -> None:
    told = []

    def translate(tensors: Any, config: Any, metadata: Any) -> Layout:
        told.append(dict(metadata))
        return affine(tensors, config)

    def file_metadata(names: Any) -> dict[str, str]:
        return {name: "said" for name in names}

    found = opened({"translate": translate}, codes=CODES[0], scale=SCALE)
    found.read("proj.weight")
    vars(found._inner)["file_metadata"] = file_metadata
    found.read("proj.weight")
    assert told == [{}, {"proj.codes": "said", "proj.scale": "said"}]


def test_bytes_in_memory_are_what_the_format_counts(opened: Any) -> None:
    def memory(tensors: Any, config: Any, shape: Any) -> int:
        return 2 * shape[0] * shape[1] + tensors["scale"].nbytes

    found = opened({"translate": affine, "memory": memory}, codes=CODES[0], scale=SCALE)
    info = found.header.tensors["proj.weight"]
    assert (info.in_memory, info.nbytes) == (128 + 32, 64)


def test_none_is_dense_as_stored(opened: Any) -> None:
    weight = torch.ones(8, 8, dtype=torch.float8_e4m3fn)
    found = opened({"translate": lambda tensors, config: None}, weight=weight)
    assert found.read("proj.weight").kind == "float8_e4m3fn"


def test_a_plain_weight_is_not_offered(opened: Any) -> None:
    found = opened({"translate": affine}, weight=torch.ones(8, 8))
    assert found.read("proj.weight").kind == "float32"


NAN = torch.full((8, 1), torch.nan)
WRONG = {
    "no weight": (lambda t, c: None, {"codes": CODES[0]}, "leaves it as stored: no weight there"),
    "left over": (
        lambda t, c: None, {"weight": torch.ones(8, 8), "scale": SCALE},
        "not used by acme: proj.scale",
    ),
    "missing": (affine, {"codes": CODES[0]}, "'scale' is missing; it has proj.codes"),
    "no layout": (lambda t, c: t["scale"], {"scale": SCALE}, "read as Tensor"),
    "planes": (affine, {"codes": CODES[0][:, :2], "scale": SCALE}, "4 bits need uint8 (8, 4)"),
    "infinite": (affine, {"codes": CODES[0], "scale": NAN}, "8 of its 8 scales are infinite"),
    "error": (lambda t, c: 1 / 0, {"scale": SCALE}, "acme cannot read it: ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_names_file_and_layer(opened: Any, case: str) -> None:
    translate, tensors, said = WRONG[case]
    with pytest.raises(CheckpointError) as caught:
        opened({"translate": translate}, **tensors).read("proj.weight")
    assert str(caught.value).startswith("folder: proj: ")
    assert said in str(caught.value)


def test_bytes_that_cannot_be_are_the_plugins_fault(opened: Any) -> None:
    with pytest.raises(PluginBroken, match="must return a number of bytes"):
        opened({"translate": affine, "memory": lambda t, c: -1}, codes=CODES[0], scale=SCALE)


def suffix(name: str, config: Any) -> str | None:
    return None if name.endswith("k_scale") else name.replace("proj.weight_", "proj.")


def test_tensors_get_the_names_that_the_format_gives_them(opened: Any) -> None:
    tensors = {"weight_codes": CODES[0], "weight_scale": SCALE, "k_scale": SCALE}
    found = opened({"translate": affine, "names": suffix}, **tensors)
    assert list(found.header.tensors) == ["proj.weight"]
    assert found.read("proj.weight").decode()[1, 0] == 8


def test_what_rules_leave_out_is_no_part_of_a_layer(opened: Any) -> None:
    stored = {"codes": CODES[0], "scale": SCALE, "lora_A.own.weight": torch.ones(2, 8)}
    with pytest.raises(CheckpointError, match="not used by acme: proj"):
        opened({"translate": affine}, **stored).read("proj.weight")
    made = opened({"translate": affine}, rules=[Skip("*.lora_A.*")], **stored)
    assert made.read("proj.weight").shape == (8, 8)
    assert made.read("proj.lora_A.own.weight").shape == (2, 8)


def test_what_is_not_used_has_the_name_of_the_file(opened: Any) -> None:
    tensors = {"weight_codes": CODES[0], "weight_scale": SCALE, "weight_more": SCALE}
    with pytest.raises(CheckpointError, match=r"not used by acme: proj\.weight_more"):
        opened({"translate": affine, "names": suffix}, **tensors).read("proj.weight")


NAMES = {
    "two of one name": (
        lambda n, c: "proj.codes", CheckpointError, "proj.codes and proj.scale are both",
    ),
    "no name": (lambda n, c: 3, PluginBroken, "returned 3 for proj.codes; it must return a name"),
    "error": (lambda n, c: n[99], PluginBroken, "names=acme_targets:names: IndexError"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_that_cannot_be_are_refused(opened: Any, case: str) -> None:
    names, kind, said = NAMES[case]
    with pytest.raises(kind, match=said):
        opened({"translate": affine, "names": names}, codes=CODES[0], scale=SCALE)
