"""Training of gates, on what the feed-forward halves of the model alone are given.

The loss of a layer is cross-entropy over the experts: -log of the mean over a prompt's tokens of
p(token)[expert] where a prompt decides, the mean over tokens of -log p(token)[expert] where each
token does; both are means over the prompts of a batch. The model's weights stay as they are, and
a layer's gate does not depend on another's. AdamW with betas 0.9 and 0.999 and without weight decay
(Loshchilov and Hutter 2019). Equal seeds and inputs give equal bits: torch computes on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tramontane.errors import RequestError, UsageError

from .gates import Gate

HIGHEST = 1e6
"""A learning rate."""
Progress = Callable[[int, int, float], None]
"""(steps done, steps in all, mean loss of the last)"""


@dataclass(frozen=True)
class TrainingOptions:
    """gate_hidden: the size of the gates' hidden layer, 0 without. per_token: whether tokens decide
    for themselves."""

    lr: float = 1e-3
    epochs: int = 100
    batch_size: int = 4
    gate_hidden: int = 0
    seed: int = 0
    per_token: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} {getattr(self, name)} should be at least 1")
        if not 0 < self.lr <= HIGHEST:
            raise RequestError(f"lr {self.lr} should be above 0, and at most {HIGHEST:g}")
        if self.gate_hidden < 0:
            raise RequestError(f"gate_hidden {self.gate_hidden} should be at least 0")
        if not -(2**63) <= self.seed < 2**63:
            raise RequestError(f"seed {self.seed} should have 64 bits")


@dataclass(frozen=True)
class Trained:
    """gates: one a layer. losses: (steps) of (layers), before each step. right: of all prompts, the
    share for which each layer's gate chooses the expert that it should."""

    gates: list[Gate]
    losses: list[list[float]]
    right: list[float]


def train_gates(
    inputs: Sequence[Tensor],
    labels: Sequence[int],
    experts: int,
    options: TrainingOptions,
    layers: Sequence[int],
    progress: Progress | None = None,
) -> Trained:
    """inputs: of each prompt, (layers, tokens, hidden) float32. layers: their numbers, for
    messages. Raises RequestError where a loss is not finite."""
    make = torch.Generator().manual_seed(options.seed)
    with _one_thread(), torch.enable_grad():
        parts = _begin(len(layers), inputs[0].shape[2], experts, options.gate_hidden, make)
        optimizer = torch.optim.AdamW(parts, lr=options.lr, weight_decay=0.0, foreach=False)
        steps = options.epochs * -(-len(inputs) // options.batch_size)
        losses: list[list[float]] = []
        for batch in _batches(len(inputs), options, make):
            found = _losses(parts, [inputs[i] for i in batch], [labels[i] for i in batch], options)
            told = found.tolist()
            for layer, loss in zip(layers, told, strict=True):
                if not math.isfinite(loss):
                    raise RequestError(
                        f"the loss of layer {layer} is {loss} at step {len(losses)}: use a lower "
                        f"lr than {options.lr:g}"
                    )
            losses.append(told)
            optimizer.zero_grad()
            found.sum().backward()
            optimizer.step()
            if progress is not None:
                progress(len(losses), steps, sum(told) / len(told))
        with torch.no_grad():
            right = _right(parts, inputs, labels)
            gates = [_gate([part[place].clone() for part in parts]) for place in range(len(layers))]
    for layer, gate in zip(layers, gates, strict=True):
        if not all(tensor.isfinite().all() for tensor in gate.tensors(layer).values()):
            raise RequestError(
                f"the gate of layer {layer} is not finite: use a lower lr than {options.lr:g}"
            )
    return Trained(gates, losses, right)


def write_losses(losses: Sequence[Sequence[float]], layers: Sequence[int], path: Path) -> None:
    """A CSV file with a line for each step, as mistral.rs has it."""
    lines = [", ".join(["Step", *(f"Gating layer {layer}" for layer in layers)])]
    for step, each in enumerate(losses):
        lines.append(", ".join([f"Step {step}", *(f"{loss:.4f}" for loss in each)]))
    try:
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def _begin(
    layers: int, hidden: int, experts: int, inner: int, make: torch.Generator
) -> list[Tensor]:
    """weight, bias, and those of the hidden layer before them, each (layers, ...), uniform within
    the inverse square root of what they read."""
    found = []
    for rows, columns in ((inner, hidden), (experts, inner)) if inner else ((experts, hidden),):
        bound = columns**-0.5
        for shape in ((layers, rows, columns), (layers, rows)):
            tensor = (torch.rand(shape, generator=make) * 2 - 1) * bound
            found.append(tensor.requires_grad_())
    return found


def _gate(parts: Sequence[Tensor]) -> Gate:
    return Gate(*parts[-2:], *parts[:-2])


def _batches(count: int, options: TrainingOptions, make: torch.Generator) -> Iterator[list[int]]:
    for _ in range(options.epochs):
        order = torch.randperm(count, generator=make).tolist()
        for start in range(0, count, options.batch_size):
            yield order[start : start + options.batch_size]


def _scores(parts: Sequence[Tensor], x: Tensor) -> Tensor:
    """x: (layers, tokens, hidden) -> (layers, tokens, experts)."""
    if len(parts) > 2:
        x = torch.relu(torch.baddbmm(parts[1][:, None], x, parts[0].mT))
    return torch.baddbmm(parts[-1][:, None], x, parts[-2].mT)


def _losses(
    parts: Sequence[Tensor],
    inputs: Sequence[Tensor],
    labels: Sequence[int],
    options: TrainingOptions,
) -> Tensor:
    """(layers): means over the prompts."""
    logs = _scores(parts, torch.cat(list(inputs), 1)).log_softmax(-1)
    total, start = torch.zeros(logs.shape[0]), 0
    for each, label in zip(inputs, labels, strict=True):
        mine = logs[:, start : start + each.shape[1], label]
        start += each.shape[1]
        if options.per_token:
            total = total - mine.mean(1)
        else:  # the logarithm of the mean of probabilities
            total = total - (mine.logsumexp(1) - math.log(each.shape[1]))
    return total / len(inputs)


def _right(parts: Sequence[Tensor], inputs: Sequence[Tensor], labels: Sequence[int]) -> list[float]:
    hits = torch.zeros(parts[0].shape[0])
    for each, label in zip(inputs, labels, strict=True):
        hits += _scores(parts, each).softmax(-1).mean(1).argmax(-1) == label
    return list((hits / len(inputs)).tolist())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are cut differently among other numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
