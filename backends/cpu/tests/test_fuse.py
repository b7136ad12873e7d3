"""Operations done as one give the bits that they give one after another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tramontane.blocks import CausalLM
from tramontane.testing.forward_passes import together, whole
from tramontane.testing.tiny_model import tiny_model
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare
from tramontane_backend_cpu.step import program
from tramontane_backend_cpu.step.fuse import fuse_gates
from tramontane_backend_cpu.step.graph import Node

PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 4, 33, 131)]
Bend = Callable[[CausalLM], None]


def as_it_is(model: CausalLM) -> None:
    pass


def biased(model: CausalLM) -> None:
    for layer in model.model.layers:
        for part in (layer.mlp.gate_proj, layer.mlp.up_proj):  # type: ignore[union-attr]
            part.bias = torch.nn.Parameter(torch.linspace(-0.2, 0.3, part.weight.shape[0]))


def other_activation(model: CausalLM) -> None:
    for layer in model.model.layers:
        layer.mlp.act = lambda x: torch.nn.functional.gelu(x, approximate="tanh")  # type: ignore[union-attr]


def gate_read_twice(model: CausalLM) -> None:
    for layer in model.model.layers:
        layer.mlp.act = lambda x: torch.sigmoid(x) + x  # type: ignore[union-attr]


def fused_nodes(
    bend: Bend,
    layout: str,
    activations: str,
    fuse: bool,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[CausalLM, list[str]]:
    """A prepared model, and the names of the operations in its step."""
    seen: list[str] = []

    def watched(nodes: list[Node]) -> list[Node]:
        found = fuse_gates(nodes) if fuse else nodes
        seen.extend(node.name for node in found)
        return found

    monkeypatch.setattr(program, "fuse_gates", watched)
    model = tiny_model(layout)
    bend(model)
    assert prepare(model, probe()[0], threads, activations)["step"] == "recorded"
    return model, seen


@pytest.mark.parametrize(
    ("bend", "layout", "activations"),
    [
        (as_it_is, "affine4", "auto"),
        (as_it_is, "affine4", "f32"),
        (as_it_is, "affine6", "auto"),
        (as_it_is, "affine8", "auto"),
        (biased, "affine4-two-level", "auto"),
        (biased, "affine4-two-level", "f32"),
        (other_activation, "affine4", "auto"),
    ],
)
def test_gates(
    bend: Bend, layout: str, activations: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    apart, names = fused_nodes(bend, layout, activations, False, 2, monkeypatch)
    joined, fused = fused_nodes(bend, layout, activations, True, 2, monkeypatch)
    assert "gated" not in names
    assert fused.count("gated") == 2
    expected = [whole(apart, prompt) for prompt in PROMPTS]
    for prompt, logits in zip(PROMPTS, expected, strict=True):
        assert torch.equal(whole(joined, prompt), logits)
    for got, logits in zip(together(joined, PROMPTS), expected, strict=True):
        assert torch.equal(got, logits)


def test_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = fused_nodes(as_it_is, "affine4", "auto", True, 1, monkeypatch)
    three, _ = fused_nodes(as_it_is, "affine4", "auto", True, 3, monkeypatch)
    for prompt in PROMPTS:
        assert torch.equal(whole(one, prompt), whole(three, prompt))


@pytest.mark.parametrize(
    ("bend", "layout"),
    [(gate_read_twice, "affine4"), (as_it_is, "float32"), (as_it_is, "bfloat16")],
)
def test_what_cannot_be_joined(bend: Bend, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, names = fused_nodes(bend, layout, "auto", True, 2, monkeypatch)
    assert "gated" not in names
