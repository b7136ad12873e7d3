"""Gates learn what the rows say, with the same bits from the same seed, or say why they cannot."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tramontane import reference
from tramontane.errors import RequestError
from tramontane_plugin_anymoe.training import TrainingOptions, train_gates, write_losses

OPTIONS = TrainingOptions(lr=0.02, epochs=40, batch_size=3)


def rows(count: int = 9) -> tuple[list[torch.Tensor], list[int]]:
    """Of two layers: vectors of 6 numbers, of which one is larger, whose place is the label."""
    make = torch.Generator().manual_seed(1)
    inputs, labels = [], []
    for index in range(count):
        x = torch.randn(2, 3 + index, 6, generator=make)
        x[:, :, index % 3] += 3
        inputs.append(x)
        labels.append(index % 3)
    return inputs, labels


@pytest.mark.parametrize("options", [
    OPTIONS, replace(OPTIONS, gate_hidden=5), replace(OPTIONS, per_token=True),
])  # fmt: skip
def test_it_learns_with_the_same_bits_from_a_seed(options: TrainingOptions) -> None:
    inputs, labels = rows()
    told: list[tuple[int, int, float]] = []
    first = train_gates(inputs, labels, 3, options, [4, 7], lambda *each: told.append(each))
    again = train_gates(inputs, labels, 3, options, [4, 7])
    other = train_gates(inputs, labels, 3, replace(options, seed=1), [4, 7])
    assert first.right == [1.0, 1.0]
    assert first.losses == again.losses != other.losses
    assert len(first.losses) == 40 * 3 == told[-1][1]
    assert sum(first.losses[-1]) < sum(first.losses[0]) / 3
    for one, two in zip(first.gates, again.gates, strict=True):
        for name, tensor in one.tensors(0).items():
            assert torch.equal(tensor, two.tensors(0)[name])


def test_a_layer_does_not_depend_on_others() -> None:
    inputs, labels = rows()
    both = train_gates(inputs, labels, 3, OPTIONS, [0, 1])
    # the order is the same, and the first numbers are what the seed gives the first layer
    wrong = [torch.stack((x[0], x[1] * 5)) for x in inputs]
    other = train_gates(wrong, labels, 3, OPTIONS, [0, 1])
    assert torch.equal(both.gates[0].weight, other.gates[0].weight)
    assert not torch.equal(both.gates[1].weight, other.gates[1].weight)


def test_the_loss_is_of_the_mean_probability() -> None:
    inputs, labels = rows(1)
    trained = train_gates(inputs, labels, 3, replace(OPTIONS, epochs=1, lr=1e-30), [0, 1])
    likely = trained.gates[1].likely(inputs[0][1], reference.linear).mean(0)
    assert math.isclose(trained.losses[0][1], -math.log(likely[labels[0]]), rel_tol=1e-5)


def test_a_loss_that_is_not_finite_is_told() -> None:
    inputs, labels = rows()
    inputs[4][1] *= 3e38
    with pytest.raises(RequestError, match=r"layer 7 is (nan|inf) at step \d: use a lower lr than"):
        train_gates(inputs, labels, 3, OPTIONS, [4, 7])


@pytest.mark.parametrize("wrong", [
    {"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": math.nan}, {"lr": 1e38},
    {"gate_hidden": -1}, {"seed": 2**64},
])  # fmt: skip
def test_options_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        TrainingOptions(**wrong)  # type: ignore[arg-type]


def test_losses_as_mistral_rs_writes_them(tmp_path: Path) -> None:
    write_losses([[0.69314, 1.0], [0.5, 0.25]], [0, 3], tmp_path / "loss.csv")
    assert (tmp_path / "loss.csv").read_text().splitlines() == [
        "Step, Gating layer 0, Gating layer 3", "Step 0, 0.6931, 1.0000", "Step 1, 0.5000, 0.2500",
    ]  # fmt: skip
